"""SharedState: restores what the functions of a web process share and one of them may have changed.

In a worker process, that happens after each run (workers/process_state.py), and with more. Here other calls are in
progress, so only what keeps them from being answered is put back: the limits of the process, modules and builtins.
"""

from __future__ import annotations

import logging

from ..workers.resource_limits import ResourceLimits
from ..workers.shared_names import SharedNames

log = logging.getLogger("scheduler.up")


class SharedState:
    """The state of this process now, to which `restore` returns."""

    def __init__(self) -> None:
        self._limits = ResourceLimits()
        self._names = SharedNames()
        self._logged: set[str] = set()
        #: Unset when something cannot be put back, so that another process has to replace this one.
        self.is_restored = True

    def restore(self) -> None:
        """Put back what was changed."""
        if changed := self._names.restore():
            self._log_once(f"{changed}: a function has replaced or removed this; it is put back")
        if not self._limits.are_kept():
            self.is_restored = self._limits.restore()
            end = "they are put back" if self.is_restored else "another process replaces this one"
            self._log_once(f"a function has changed the resource limits of this process; {end}")

    def _log_once(self, text: str) -> None:
        """Log it, once: a function that is called each second would fill the log."""
        if text not in self._logged:
            self._logged.add(text)
            log.warning("%s", text)
