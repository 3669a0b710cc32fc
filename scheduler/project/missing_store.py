"""Finds the running services whose store was deleted or moved: a new one in its place would not be theirs.

Their records (serving_record.py) went with the folder of the store, but those processes still have them open.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import StoreUnavailableError

#: A record's file is called `serving-PID-HEX.json`, and has at most so many bytes.
RECORD_PREFIX, MOST_RECORD_BYTES = "serving-", 10_000_000
_PROCESSES = Path("/proc")
#: Linux shows a deleted file that a process has open with an addition to its name.
_RECORD_NAME = re.compile(rf"{RECORD_PREFIX}\d+-[0-9a-f]+\.json(?: \(deleted\))?")


def check_no_service_uses(file: Path) -> None:
    """StoreUnavailableError if a service of this user still uses the store whose file is not in its place.

    It reads /proc, so it finds nothing on a system without it, nor in other containers.
    """
    store = os.path.realpath(file)
    if pids := [pid for pid, record in _open_records() if record.get("store") == store]:
        listed = ", ".join(map(str, pids))
        raise StoreUnavailableError(
            f"there is no store at {file} any more: it was deleted or moved while the running "
            f"`scheduler up` (process {listed}) uses it, so nothing fires there; put its folder back, or end that "
            "process and begin anew, without its timers, its history and its keys"
        )


def _open_records() -> Iterator[tuple[int, dict[str, Any]]]:
    """The id and the record of each process of this user that has the file of a ServingRecord open."""
    for folder in _PROCESSES.glob("[0-9]*/fd"):
        # A process may end at any time, and those of others are not shown.
        with contextlib.suppress(OSError):
            for descriptor in folder.iterdir():
                with contextlib.suppress(OSError, ValueError):
                    if _RECORD_NAME.fullmatch(descriptor.readlink().name):
                        # Non-blocking, in case it is a FIFO.
                        with os.fdopen(os.open(descriptor, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                            record = json.loads(file.read(MOST_RECORD_BYTES))
                        if isinstance(record, dict):
                            yield int(folder.parent.name), record
