"""The files of a store as a power cut leaves them: what was synced, and any part of what was not.

A program runs with a recorder loaded into it (power_recorder.c), which notes each write and each sync of a file in one
log, in their order. `Disk` plays the log up to any moment.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

_HEAD = struct.Struct("<cHQIQ")
_SOURCE = Path(__file__).with_name("power_recorder.c")
#: A disk writes a sector as a whole or not at all.
_SECTOR = 512


class Record(NamedTuple):
    """One call: `w` write, `t` truncate, `s` sync, `u` unlink; at a time in seconds since 1970."""

    kind: str
    path: Path
    offset: int
    at: float
    data: bytes


def recorder(folder: Path) -> Path:
    """The compiled recorder; the test is skipped where there is no C compiler, or another system than Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not Path("/proc/self/fd").exists():
        pytest.skip("needs Linux and a C compiler")
    library = folder / "power_recorder.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return library


def recording(library: Path, recorded: Path, log: Path) -> dict[str, str]:
    """The environment of a program whose writes below a folder are to be recorded."""
    return {**os.environ, "LD_PRELOAD": str(library), "RECORDED_FOLDER": f"{recorded}", "RECORD_TO": str(log)}


def records(log: Path) -> list[Record]:
    """What was recorded, in order."""
    return list(_parsed(log.read_bytes()))


def _parsed(content: bytes) -> Iterator[Record]:
    place = 0
    while place < len(content):
        kind, path_length, offset, length, micros = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        path = Path(os.fsdecode(content[place : place + path_length]))
        place += path_length
        yield Record(kind.decode(), path, offset, micros / 1e6, content[place : place + length])
        place += length


@dataclass
class _File:
    synced: bytearray = field(default_factory=bytearray)
    #: With their number among all that was played.
    unsynced: list[tuple[int, Record]] = field(default_factory=list)


class Disk:
    """What stands on a disk, while records are played."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}
        #: Names that were given or taken away since their folder was synced, and whether they are there.
        self._synced_names: set[Path] = set()
        self._names: set[Path] = set()
        self._played = 0

    def play(self, record: Record) -> None:
        """Take over one call."""
        self._played += 1
        if record.kind == "s" and record.path not in self._files:  # a folder
            self._synced_names = {
                *(name for name in self._synced_names if name.parent != record.path),
                *(name for name in self._names if name.parent == record.path),
            }
        elif record.kind == "s":
            file = self._files[record.path]
            for _, unsynced in file.unsynced:
                _apply(file.synced, unsynced)
            file.unsynced.clear()
        elif record.kind == "u":
            self._names.discard(record.path)
        else:
            if record.path not in self._names:
                self._names.add(record.path)
                self._files[record.path] = _File()
            self._files[record.path].unsynced.append((self._played, record))

    def cut(self, chance: random.Random, fate: str) -> dict[Path, bytes]:
        """The files after a power cut, by what becomes of the sectors and names that were not synced.

        `none`, `half` or `most` of them survive, any of them, or `first`: those before some moment.
        """
        share = {"none": 0.0, "half": 0.5, "most": 0.95, "first": 1.0}[fate]
        waiting = [number for file in self._files.values() for number, _ in file.unsynced]
        last = chance.choice(waiting) if fate == "first" and waiting else self._played
        names = set(self._synced_names)
        for name in sorted(self._names ^ self._synced_names):
            if chance.random() < share:
                names ^= {name}
        left = {}
        for name in sorted(names & self._files.keys()):
            content = bytearray(self._files[name].synced)
            for number, unsynced in self._files[name].unsynced:
                if number <= last:
                    _apply_part(content, unsynced, chance, share)
            left[name] = bytes(content)
        return left


def _apply(content: bytearray, record: Record) -> None:
    if record.kind == "t":
        content[record.offset :] = b"\0" * max(0, record.offset - len(content)) if record.offset > len(content) else b""
        return
    end = record.offset + len(record.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[record.offset : end] = record.data


def _apply_part(content: bytearray, record: Record, chance: random.Random, survives: float) -> None:
    if record.kind == "t":
        if chance.random() < survives:
            _apply(content, record)
        return
    first = record.offset // _SECTOR * _SECTOR
    for sector in range(first, record.offset + len(record.data), _SECTOR):
        if chance.random() < survives:
            begin = max(sector, record.offset)
            data = record.data[begin - record.offset : sector + _SECTOR - record.offset]
            _apply(content, record._replace(offset=begin, data=data))
