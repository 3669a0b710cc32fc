"""ServedSources: without --reload, logs once that sources were saved after they were loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from ..project.serving_record import ServingRecord, names_of_changed, outdated
from .options import UpOptions
from .sockets import Sockets

log = logging.getLogger("scheduler.up")

#: How often to check the loaded files; not the whole folder.
LOOK_EVERY_S = 5.0


class ServedSources:
    """The files whose modules the present version has loaded; `reloads`: --reload watches them anyway."""

    def __init__(self, record: ServingRecord, *, reloads: bool) -> None:
        self._record = record
        self._reloads = reloads
        self._stamps: Mapping[str, Sequence[int]] = {}
        self._since = ""
        self._said: list[str] = []
        self._look_at = 0.0

    def loaded(self, stamps: Mapping[str, Sequence[int]]) -> None:
        """Set the files of the version that serves from now on."""
        self._stamps, self._said = stamps, []
        self._since = datetime.now().astimezone().strftime("%H:%M:%S")
        self._record.write(stamps)

    def look(self, now: float) -> None:
        """Log which files were saved since."""
        if self._reloads or now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        names = names_of_changed(self._stamps)
        if names and names != self._said:
            log.warning("%s; all processes still run the earlier version", outdated(names, self._since))
        self._said = names

    def ended(self) -> None:
        """Remove the record, because nothing is served any more."""
        self._record.remove()


def serving_record(options: UpOptions, sockets: Sockets, *, reloads: bool) -> ServingRecord:
    """The record of a service with these options, which listens on these sockets."""
    port = sockets.live.getsockname()[1]
    return ServingRecord(options.project(), reloads=reloads, port=port, has_preview=options.has_preview)
