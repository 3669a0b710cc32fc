"""SharedNames: the modules of this process, the finders that import others, and the builtins, which all functions
share.

A function that empties `sys.modules`, or puts something else in the place of `len`, breaks every later call. Names that
are added stay, and so do changes within other modules.
"""

from __future__ import annotations

import builtins
import sys


class SharedNames:
    """The names as they are now, to which `restore` returns; the dictionaries and the list stay the same objects."""

    def __init__(self) -> None:
        self._modules, self._modules_then = sys.modules, dict(sys.modules)
        self._finders, self._finders_then = sys.meta_path, list(sys.meta_path)
        self._builtins, self._builtins_then = vars(builtins), dict(vars(builtins))

    def restore(self) -> str:
        """Put back names that were removed or replaced; returns them as text, empty if there were none."""
        # The builtins first, because everything below uses them.
        changed = self._restore_builtins() if self._builtins != self._builtins_then else ""
        if sys.modules is not self._modules or len(self._modules) < len(self._modules_then):
            sys.modules = self._modules
            self._modules.update(self._modules_then)
            changed = changed or "sys.modules"
        if sys.meta_path is not self._finders or len(self._finders) < len(self._finders_then):
            sys.meta_path = self._finders
            self._finders[:] = self._finders_then
            changed = changed or "sys.meta_path"
        return changed

    def _restore_builtins(self) -> str:
        before, then = self._builtins.copy(), self._builtins_then
        self._builtins.update(then)
        return ", ".join([name for name, value in then.items() if before.get(name) is not value])
