"""SourceSnapshot: one version of the user's sources, kept in an unnamed file, from which processes load modules.

So a process that is started later, for example to replace a killed one, loads the same version, whatever was saved
since, even half a file. Modules keep their `__file__`, so they find the files beside them.

It contains only modules in the project's folders; a module that was added later is loaded from the disk.
"""

from __future__ import annotations

import contextlib
import linecache
import marshal
import mmap
import os
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from ..errors import listed

#: A folder with more than this is not a project's, and its modules are loaded from the disk.
MOST_FILES, MOST_BYTES = 50_000, 100_000_000
#: The most files that a message names.
_MOST_NAMED = 3
_SKIPPED = {"__pycache__", "node_modules"}


class Stamp(NamedTuple):
    """The modification time in ns and the size of a file, which show that it was saved.

    With the checksum of its contents, a file that was saved as it was has not changed.
    """

    mtime_ns: int
    size: int
    checksum: int | None = None


class _Entry(NamedTuple):
    stamp: Stamp
    offset: int


class SourceSnapshot:
    """The Python files of some folders; `fileno` is the descriptor of the read-only file that contains them.

    It is mapped into memory, so that it survives user code that closes every descriptor.
    """

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
        self._data = mmap.mmap(fileno, 0, prot=mmap.PROT_READ)
        self._begin = 8 + int.from_bytes(self._data[:8], "big")
        index = marshal.loads(self._data[8 : self._begin])
        self._entries = {path: _Entry(Stamp(mtime, size), offset) for path, (mtime, size, offset) in index.items()}

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    def stamp(self, path: str) -> Stamp:
        return self._entries[path].stamp

    def source(self, path: str) -> bytes:
        """The contents of a file."""
        entry = self._entries[path]
        begin = self._begin + entry.offset
        return self._data[begin : begin + entry.stamp.size]

    def loaded(self) -> dict[str, Stamp]:
        """The files whose modules this process has loaded."""
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        paths = [path for path in sorted(filter(None, files)) if path in self]
        return {path: self.stamp(path)._replace(checksum=zlib.crc32(self.source(path))) for path in paths}

    def close(self) -> None:
        """Close the descriptor; modules can still be loaded."""
        fileno, self.fileno = self.fileno, -1
        if fileno >= 0:
            os.close(fileno)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self.close()


def take_snapshot(folders: Iterable[Path]) -> SourceSnapshot | None:
    """A snapshot of the Python files below these folders; None if there are too many."""
    index: dict[str, tuple[int, int, int]] = {}
    parts: list[bytes] = []
    total = 0
    try:
        paths = list(dict.fromkeys(path for folder in folders for path in python_files(folder)))
    except _TooManyError:
        return None
    for path in paths:
        with contextlib.suppress(OSError):  # removed in the meantime, or not ours to read
            mtime_ns, data = _read(path, MOST_BYTES - total)
            # Of a symbolic link, under the name of the file too: the import path may lead to either.
            for name in (path, os.path.realpath(path)):
                index[name] = mtime_ns, len(data), total
            parts.append(data)
            total += len(data)
        if total >= MOST_BYTES:
            return None
    return SourceSnapshot(_written(index, parts))


def _read(path: str, most: int) -> tuple[int, bytes]:
    """The stamp and the contents of a regular file; OSError for a pipe, which would block, or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(path)
        return status.st_mtime_ns, file.read(most)


def _written(index: dict[str, tuple[int, int, int]], parts: Sequence[bytes]) -> int:
    """A read-only descriptor of a new unnamed file."""
    import tempfile  # with ten modules more, which workers, who only read the file, do not need

    packed = marshal.dumps(index)
    with tempfile.NamedTemporaryFile(prefix="scheduler-sources-") as file:
        file.write(len(packed).to_bytes(8, "big") + packed)
        file.writelines(parts)
        file.flush()
        os.fchmod(file.fileno(), 0o600)  # whatever the umask takes away
        return os.open(file.name, os.O_RDONLY)


class _TooManyError(Exception):
    """There are more files than MOST_FILES or MOST_BYTES allow."""


def python_files(folder: Path) -> Iterator[str]:
    """Every Python file of a project."""
    seen = 0
    for parent, names, files in source_folders(folder.resolve()):
        seen += len(names) + len(files)
        if seen > MOST_FILES:
            raise _TooManyError
        yield from (os.path.join(parent, name) for name in files if name.endswith(".py"))  # noqa: PTH118


def source_folders(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """The folders of a project as os.walk has them: no virtual environment, no hidden folder, no cache.

    Symbolic links to packages are followed, other links to folders are not.
    """
    folders, known = [folder], {folder.resolve()}
    while folders:
        for parent, names, files in os.walk(folders.pop()):
            names[:] = [name for name in names if _is_source(Path(parent, name))]
            yield parent, names, files
            linked = {path.resolve() for name in names if _is_linked_package(path := Path(parent, name))} - known
            folders += linked
            known |= linked


def _is_linked_package(folder: Path) -> bool:
    return folder.is_symlink() and (folder / "__init__.py").is_file()


def _is_source(folder: Path) -> bool:
    return folder.name not in _SKIPPED and folder.name[:1] != "." and not (folder / "pyvenv.cfg").exists()


def changed(stamps: Mapping[str, Stamp]) -> list[str]:
    """The files among these that have changed."""
    return [path for path, stamp in stamps.items() if _has_changed(path, stamp)]


def _has_changed(path: str, stamp: Stamp) -> bool:
    now = _stamp_now(path)
    if now is None or now.size != stamp.size:
        return True
    if now.mtime_ns == stamp.mtime_ns:
        return False
    try:
        return zlib.crc32(_read(path, stamp.size)[1]) != stamp.checksum
    except OSError:
        return True


def changed_names(stamps: Mapping[str, Stamp]) -> list[str]:
    """The names of the changed files, without their folders."""
    return sorted({os.path.basename(path) for path in changed(stamps)})  # noqa: PTH119


def have_changed(names: Sequence[str]) -> str:
    """The beginning of a sentence that says which files have changed."""
    return f"{listed(names, _MOST_NAMED)} {'has' if len(names) == 1 else 'have'} changed"


def _stamp_now(path: str) -> Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return Stamp(status.st_mtime_ns, status.st_size)


# Importing from it

_current: list[SourceSnapshot] = []


def current() -> SourceSnapshot | None:
    """The snapshot from which this process, and the workers that it starts, load the user's modules."""
    return _current[-1] if _current else None


def sources_of(target: str, folder: Path | None) -> SourceSnapshot | None:
    """The snapshot from which this process loads modules; else one of the sources beside a target."""
    if (snapshot := current()) is not None:
        return snapshot
    return take_snapshot([Path(target).parent if target.endswith(".py") else folder or Path.cwd()])


def load_from(snapshot: SourceSnapshot) -> None:
    """Load modules from a snapshot from now on."""
    _current.append(snapshot)
    place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    sys.meta_path.insert(place, SnapshotFinder(snapshot))


class SnapshotFinder:
    """Finds modules in a snapshot, if one of its folders comes first on the import path."""

    def __init__(self, snapshot: SourceSnapshot) -> None:
        self._snapshot = snapshot
        self._real: dict[str, str] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        entries = [entry for entry in (sys.path if path is None else path) if isinstance(entry, str)]
        last = name.rpartition(".")[2]
        for place, entry in enumerate(entries):
            if file := self._file(entry, last):
                # Leave modules from earlier entries of the import path to other finders.
                if place and PathFinder.find_spec(name, entries[:place], target) is not None:
                    return None
                loader = SnapshotLoader(name, file, self._snapshot)
                folders = [os.path.dirname(file)] if file.endswith("__init__.py") else None  # noqa: PTH120
                return spec_from_file_location(name, file, loader=loader, submodule_search_locations=folders)
        return None

    def _file(self, entry: str, name: str) -> str | None:
        """The file of a module in a folder of the snapshot."""
        folder = self._real.get(entry) or self._real.setdefault(entry, os.path.realpath(entry))
        files = f"{folder}/{name}/__init__.py", f"{folder}/{name}.py"
        return next((file for file in files if file in self._snapshot), None)


class SnapshotLoader(SourceFileLoader):
    """Loads a module from a snapshot; tracebacks show the snapshot's lines."""

    def __init__(self, name: str, path: str, snapshot: SourceSnapshot) -> None:
        super().__init__(name, path)
        self._snapshot = snapshot

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        stamp = self._snapshot.stamp(str(path))
        return {"mtime": stamp.mtime_ns / 1_000_000_000, "size": stamp.size}

    def get_data(self, path: Any) -> bytes:
        return self._snapshot.source(str(path)) if str(path) in self._snapshot else super().get_data(path)

    def set_data(self, path: Any, data: Any, *, _mode: int = 0o666) -> None:
        """Cache the code if the file has not changed."""
        if not changed({self.path: self._snapshot.stamp(self.path)}):
            super().set_data(path, data, _mode=_mode)

    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        # Without a modification time, linecache does not check whether the file has changed.
        lines = self._snapshot.source(self.path).decode("utf-8", "replace").splitlines(keepends=True)
        linecache.cache[self.path] = (self._snapshot.stamp(self.path).size, None, lines, self.path)
        return code
