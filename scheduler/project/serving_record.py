"""ServingRecord: the sources that a `scheduler up` has loaded, in a file, so that commands notice later changes.

A service started without --reload keeps serving the sources that it has loaded. A command that loads the functions
again would otherwise accept functions that the service does not have.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.timer import Environment
from ..errors import StoreError
from ..functions.source_snapshot import Stamp, changed_names, have_changed
from .data_folder import make_own_folder
from .missing_store import MOST_RECORD_BYTES, RECORD_PREFIX
from .project import Project

_FIELDS = {"tz", "reloads", "since", "sources"}


class ServingRecord:
    """The file of this process, locked while the process lives, which other containers can see too."""

    def __init__(self, project: Project, *, reloads: bool, port: int | None = None, has_preview: bool = False) -> None:
        """`port` is the one on which it listens, if not that of the settings; a preview is environment stage."""
        self._path = project.keys_file.parent / f"{RECORD_PREFIX}{os.getpid()}-{secrets.token_hex(4)}.json"
        only = None if has_preview else project.only_environment
        self._about = {
            "tz": project.settings.tz,
            "reloads": reloads,
            "pid": os.getpid(),
            "host": project.settings.host,
            "port": project.settings.port if port is None else port,
            "environments": [each.value for each in Environment if only in (None, each)],
        }
        self._store, self._found_store = project.store_identity, ""
        self._locked: int | None = None
        # A process that a function forks must not hold the lock when this one has ended.
        os.register_at_fork(after_in_child=self._unlock)

    def write(self, stamps: Mapping[str, Sequence[int]]) -> None:
        """Write the sources that are served from now on; does nothing if the folder is not writable."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        if os.path.lexists(self._store):
            self._found_store = self._store
        about = {**self._about, "store": self._found_store, "since": since}
        text = json.dumps({**about, "sources": {path: list(at) for path, at in stamps.items()}})
        with contextlib.suppress(OSError, UnicodeError, StoreError):
            make_own_folder(self._path.parent)
            new = self._path.with_suffix(".new")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(descriptor, text.encode())
                new.replace(self._path)
            except BaseException:
                os.close(descriptor)
                raise
            self._unlock()
            self._locked = descriptor

    def remove(self) -> None:
        """Remove the file, because nothing is served any more."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._unlock()

    def _unlock(self) -> None:
        descriptor, self._locked = self._locked, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def outdated_services(project: Project) -> list[str]:
    """A sentence for each service of this project whose sources have changed since it loaded them."""
    sentences = []
    for record in serving_records(project):
        if names := names_of_changed(record["sources"]):
            sentence = not_reloaded if record["reloads"] else outdated
            sentences.append(sentence(names, _wall(record)))
    return sentences


def serving_processes(project: Project) -> list[int]:
    """The ids of the processes that serve this project's folder; of one in another container, the id there."""
    return [pid for record in serving_records(project) if isinstance(pid := record.get("pid"), int)]


def serving_records(project: Project) -> list[dict[str, Any]]:
    """The records of this project's running services; those of other versions may have other fields."""
    return [*_records(project.keys_file.parent)]


def names_of_changed(sources: Mapping[str, Sequence[int]]) -> list[str]:
    """The names of the files that have changed; `sources` are from JSON."""
    return changed_names({path: Stamp(*at) for path, at in sources.items()})


def outdated(names: Sequence[str], since: str) -> str:
    """The sentence about files that have changed since a service loaded them, for one that does not watch them."""
    return f"{have_changed(names)} since `scheduler up` loaded the functions at {since}: restart it, or use --reload"


def not_reloaded(names: Sequence[str], since: str) -> str:
    """The sentence about changed files that a service with --reload has not been able to load."""
    serves = f"`scheduler up --reload` still serves what it loaded at {since}: see what it printed"
    return f"{have_changed(names)}, but {serves}"


def _wall(record: Mapping[str, Any]) -> str:
    from ..core.zone_names import zone

    return datetime.fromisoformat(record["since"]).astimezone(zone(record["tz"])).strftime("%H:%M:%S")


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of running services; removes those that killed ones have left behind."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.glob(f"{RECORD_PREFIX}*.json")):
            with contextlib.suppress(OSError, ValueError):
                record = _living(path)
                if isinstance(record, dict) and record.keys() >= _FIELDS:
                    yield record


def _living(path: Path) -> Any:
    """The contents of a locked file; removes an unlocked one, and returns None."""
    # Non-blocking, in case it is a FIFO.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return json.loads(file.read(MOST_RECORD_BYTES))
        # Unless a service has replaced the file since.
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            path.unlink()
    return None
