"""OpenFiles: the file of a SQLite store and its journal (-wal, -shm), as this process has them open.

A deleted or replaced file still exists for programs that have it open. SQLite then commits to a journal that no other
program can open, and the commits would be lost with this process. This file detects that, and whether the commits
can still be saved.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

Identity = tuple[int, int]

# The bytes that a reader of a SQLite file locks (https://sqlite.org/src/file/src/os.h).
_SHARED, _SHARED_LENGTH = 0x4000_0002, 510

_DESCRIPTORS = "/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd"

# The header of a -shm (https://sqlite.org/walformat.html), in 32-bit numbers of this machine: how many frames the
# journal has; that and its checksums and salts, which differ after every commit; how many are copied to the file.
_HEADER = 136
_FRAMES, _STATE, _COPIED = 4, slice(4, 10), 24


class OpenFiles:
    """The files of one store, which must be open when this is created."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened = identity(file)
        # SQLite puts the journal beside the target of a symbolic link.
        target = file.resolve()
        self.paths = target, target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")
        self._journal = self._found()
        self._holder: int | None = None

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the open file."""
        return identity(self.file) == self._opened

    @property
    def are_as_opened(self) -> bool:
        """Whether the paths of file and journal lead to the open ones: the quick answer, before every turn."""
        return self.is_in_place and self._found() == self._journal

    def has_lost_journal(self) -> bool:
        """Whether a file of the open journal has been deleted or replaced."""
        found = self._found()
        if found == self._journal:
            return False
        changed = {old for old, new in zip(self._journal, found, strict=True) if old is not None and old != new}
        if changed & set(_open_here()):
            return True
        # The last connection to a file deletes its journal, the next one makes a new one.
        self._journal = found
        return False

    def is_alone(self) -> bool:
        """Whether no other program has written to a new journal that replaced the lost one."""
        (wal, shm), (new_wal, new_shm) = self._journal, self._found()
        if new_wal != wal:
            return new_wal is None or self.paths[1].stat().st_size == 0
        return new_shm in (None, shm) or self._frames() == _numbers(self.paths[2].read_bytes())[_STATE]

    def _frames(self) -> list[int]:
        """The state of the frames in the open journal."""
        descriptor = _open_here().get(self._journal[1]) if self._journal[1] is not None else None
        # Through SQLite's descriptor, because closing another one would release its locks.
        return _numbers(os.pread(descriptor, _HEADER, 0))[_STATE] if descriptor is not None else []

    def is_saved(self) -> bool:
        """Whether another program has copied all of the lost journal to the file; only if the -shm was lost too."""
        shm, found = self._journal[1], self._found()[1]
        descriptor = None if shm is None or shm == found else _open_here().get(shm)
        if descriptor is None:
            return False
        numbers = _numbers(os.pread(descriptor, _HEADER, 0))
        return numbers[_FRAMES] == numbers[_COPIED]

    def retire(self) -> None:
        """Remove the rest of a journal that was copied to the file, so that no program uses it."""
        found = self._found()
        if found[1] in (None, self._journal[1]):
            for path, old, new in zip(self.paths[1:], self._journal, found, strict=True):
                if new is not None and new == old:
                    path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within the block, closing a connection does not remove the journal, not even that of another program.

        The last connection that closes copies its journal and removes the file of that name. It is the last one if it
        can lock the whole file, so this takes a lock that SQLite does not know. BlockingIOError if it cannot.
        """
        if not hasattr(fcntl, "F_OFD_SETLK"):
            yield
            return
        if self._holder is None:
            # Kept open, because closing it would release SQLite's locks in this process.
            self._holder = os.open(self.paths[0], os.O_RDONLY | os.O_CLOEXEC)
        fcntl.fcntl(self._holder, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK))
        try:
            yield
        finally:
            fcntl.fcntl(self._holder, fcntl.F_OFD_SETLK, _lock(fcntl.F_UNLCK))

    def note_journal(self) -> None:
        """Remember the current journal as the open one."""
        self._journal = self._found()

    def _found(self) -> tuple[Identity | None, Identity | None]:
        return identity(self.paths[1]), identity(self.paths[2])


def create_for_owner(file: Path) -> None:
    """Create a missing file, empty, that only its owner can read; SQLite gives its journal the same rights."""
    # SQLite reports why the file cannot be created.
    with contextlib.suppress(OSError):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)  # whatever the umask takes away
        os.close(descriptor)


def identity(file: Path | None) -> Identity | None:
    """The device and inode of a file, which distinguish it from another of the same name; None if missing."""
    if file is None:
        return None
    try:
        status = os.stat(file)  # noqa: PTH116  it is called for every transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _lock(kind: int) -> bytes:
    """A struct flock of those bytes."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, _SHARED, _SHARED_LENGTH, 0)


def _numbers(header: bytes) -> list[int]:
    return list(memoryview(header[:_HEADER].ljust(_HEADER, b"\0")).cast("I"))


def _open_here() -> dict[Identity, int]:
    """The files that this process has open, and a descriptor of each."""
    found: dict[Identity, int] = {}
    for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208
        with contextlib.suppress(OSError):
            status = os.fstat(int(name))
            found[status.st_dev, status.st_ino] = int(name)
    return found
