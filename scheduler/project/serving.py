"""What a `scheduler up` serves, in a file beside the keys of its project: so that commands notice what was saved since.

A service started without --reload goes on with the sources that it has loaded. A command that loads the functions anew
would otherwise accept what the service does not know.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..functions.source_snapshot import Stamp, changed_names, have_changed
from ..process_start import process_started
from .data_folder import make_own_folder
from .project import Project

_PREFIX = "serving-"
#: A file that is larger is none of ours.
_MOST_BYTES = 10_000_000


class ServingRecord:
    """The file of this process; `stamps` are those of the sources that it has loaded."""

    def __init__(self, project: Project, *, reloads: bool) -> None:
        self._path = project.keys_file.parent / f"{_PREFIX}{os.getpid()}.json"
        self._about = {
            "pid": os.getpid(),
            "started": process_started(os.getpid()),
            "tz": project.settings.tz,
            "reloads": reloads,
        }

    def write(self, stamps: Mapping[str, Sequence[int]]) -> None:
        """Say what is served from now on; without effect where the folder cannot be written to."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({**self._about, "since": since, "sources": {path: list(at) for path, at in stamps.items()}})
        with contextlib.suppress(OSError, UnicodeError):
            make_own_folder(self._path.parent)
            new = self._path.with_suffix(".new")
            new.write_text(text, encoding="utf-8")
            new.replace(self._path)

    def remove(self) -> None:
        """Nothing is served any more."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def outdated_services(project: Project) -> list[str]:
    """A sentence for each service of this project whose sources were changed since it has loaded them."""
    sentences = []
    for record in _records(project.keys_file.parent):
        if names := names_of_changed(record["sources"]):
            sentences.append(outdated(names, _wall(record), reloads=record["reloads"]))
    return sentences


def names_of_changed(sources: Mapping[str, Sequence[int]]) -> list[str]:
    """The names of the files that are not what they were; the sources are from JSON."""
    return changed_names({path: Stamp(*at) for path, at in sources.items()})


def outdated(names: Sequence[str], since: str, *, reloads: bool) -> str:
    """That files have changed since a service has loaded them."""
    if reloads:
        serves = f"`scheduler up --reload` still serves what it loaded at {since}: see what it printed"
        return f"{have_changed(names)}, but {serves}"
    return f"{have_changed(names)} since `scheduler up` loaded the functions at {since}: restart it, or use --reload"


def _wall(record: Mapping[str, Any]) -> str:
    from ..core.zones import zone

    return datetime.fromisoformat(record["since"]).astimezone(zone(record["tz"])).strftime("%H:%M:%S")


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of services that still run; those that a killed one has left behind are removed."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob(f"{_PREFIX}*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                if path.stat().st_size > _MOST_BYTES:
                    continue
                record = json.loads(path.read_text(encoding="utf-8"))
                if process_started(int(record["pid"])) == record["started"]:
                    yield record
                else:
                    path.unlink()
