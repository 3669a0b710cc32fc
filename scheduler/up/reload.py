"""Sources: the files that `scheduler up --reload` watches, and which of them were saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..functions.source_snapshot import source_folders
from ..project.settings import FILE_NAME

#: The interval between snapshots. Editors save in several steps, so two equal ones end a change.
SNAPSHOT_EVERY_S = 0.25


class Sources:
    """The Python files and settings below some folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._taken = self._last = snapshot(folders)
        self._look_at = 0.0

    def changed(self, now: float) -> list[str]:
        """The names of the files that have changed since the last change, once the change is complete."""
        if now < self._look_at:
            return []
        self._look_at = now + SNAPSHOT_EVERY_S
        before, self._last = self._last, snapshot(self._folders)
        if self._last != before or self._last == self._taken:
            return []
        names, self._taken = changed_names(self._taken, self._last), self._last
        return names


#: Path → time of the last change in ns, and size in bytes.
Snapshot = dict[str, tuple[int, int]]


def snapshot(folders: Sequence[Path]) -> Snapshot:
    """Every Python file and scheduler.toml below the folders."""
    files_seen: Snapshot = {}
    for folder in folders:
        for parent, _, files in source_folders(folder):
            for name in files:
                if name.endswith(".py") or name == FILE_NAME:
                    path = os.path.join(parent, name)  # noqa: PTH118  a Path for each file costs more than the stat
                    try:
                        status = os.stat(path)  # noqa: PTH116
                    except OSError:  # removed in the meantime
                        continue
                    files_seen[path] = status.st_mtime_ns, status.st_size
    return files_seen


def changed_names(before: Snapshot, after: Snapshot) -> list[str]:
    """The names of files that are new, removed or changed."""
    return sorted({Path(path).name for path, _ in before.items() ^ after.items()})
