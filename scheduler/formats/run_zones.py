"""RunZones: the time zone in which to show a run, which is that of its timer."""

from __future__ import annotations

from datetime import tzinfo

from ..core.run import Run
from ..core.zone_names import zone
from ..store.database import Store
from ..store.timers import TimerTable
from .display import zone_of


class RunZones:
    """The zones of the runs of a store; the default one for a timer that was removed."""

    def __init__(self, store: Store, default: str) -> None:
        self._default = zone(default)
        self._of_timers = {
            (entry.timer.environment.value, entry.timer.name): zone_of(entry.timer, default)
            for entry in TimerTable(store).list()
        }

    def of(self, run: Run) -> tzinfo:
        """The zone of one run."""
        return self._of_timers.get((run.environment, run.timer), self._default)
