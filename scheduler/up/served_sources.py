"""Sources that were saved after they were loaded: without --reload, the log says once that they are not served."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from ..project.project import Project
from ..project.serving import ServingRecord, names_of_changed, outdated

log = logging.getLogger("scheduler.up")

#: How often the files are looked at: a handful of them, not the whole folder.
LOOK_EVERY_S = 5.0


class ServedSources:
    """The files of which the present version has loaded modules; `reloads`: they are watched for --reload anyway."""

    def __init__(self, project: Project, *, reloads: bool) -> None:
        self._record = ServingRecord(project, reloads=reloads)
        self._reloads = reloads
        self._stamps: Mapping[str, Sequence[int]] = {}
        self._since = ""
        self._said: list[str] = []
        self._look_at = 0.0

    def loaded(self, stamps: Mapping[str, Sequence[int]]) -> None:
        """A version serves from now on that has loaded these."""
        self._stamps, self._said = stamps, []
        self._since = datetime.now().astimezone().strftime("%H:%M:%S")
        self._record.write(stamps)

    def look(self, now: float) -> None:
        """Say what was saved since."""
        if self._reloads or now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        names = names_of_changed(self._stamps)
        if names and names != self._said:
            log.warning("%s; all processes go on with the earlier version", outdated(names, self._since, reloads=False))
        self._said = names

    def ended(self) -> None:
        """Nothing is served any more."""
        self._record.remove()
