"""Notices that a store is the copy of another one: a service writes down, beside the store, where its file is.

With a service in each of both folders, every timer would fire twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

from ..errors import StoreError
from .data_folder import make_own_folder
from .project import Project

_SUFFIX = ".place.json"
_MOST_BYTES = 10_000


def note_place(project: Project) -> None:
    """Write down where the store is, unless it is a copy; does nothing if the folder is not writable."""
    if (file := project.store_file) is None or copied_from(project) is not None:
        return
    path = _path(project, file)
    new = path.with_suffix(f".{secrets.token_hex(4)}.new")
    with contextlib.suppress(OSError, UnicodeError, StoreError):
        text = json.dumps({"file": os.path.realpath(file), "inode": file.stat().st_ino})
        if _text(path) == text:
            return
        make_own_folder(path.parent)
        new.write_text(text, encoding="utf-8")
        new.replace(path)


def warning_of_copy(project: Project) -> str:
    """The warning that the store is a copy of one that is still in its place; empty if it is not."""
    if (file := project.store_file) is None or (original := copied_from(project)) is None:
        return ""
    return (
        f"{file} is a copy of {original}: with a service for each, every timer fires twice; if that is meant, remove "
        f"{_path(project, file)}"
    )


def copied_from(project: Project) -> Path | None:
    """The store of which this one is a copy; None if it is none, was moved, or the other one is not there."""
    if (file := project.store_file) is None:
        return None
    with contextlib.suppress(OSError, ValueError, UnicodeError):
        match json.loads(_text(_path(project, file))):
            case {"file": str(name), "inode": int(inode)}:
                original, own = os.stat(name), file.stat()  # noqa: PTH116
                is_same = os.path.samestat(original, own)
                return Path(name) if original.st_ino == inode and not is_same else None
    return None


def _path(project: Project, file: Path) -> Path:
    return project.keys_file.parent / f"{file.name}{_SUFFIX}"


def _text(path: Path) -> str:
    """The contents of the file; empty if there is none. Non-blocking, in case it is a FIFO."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, "rb") as found:
        return found.read(_MOST_BYTES).decode()
