"""The folder `.scheduler` of a project, for the store and the generated keys unless the settings name others."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..errors import StoreUnavailableError

OWN_FOLDER = ".scheduler"


def make_own_folder(path: Path) -> None:
    """Create the folder, readable by its owner only, with a .gitignore that keeps it out of version control."""
    try:
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                path.chmod(0o700)  # independent of the umask
            sync_entries(path.parent)
        ignore = path / ".gitignore"
        with contextlib.suppress(FileExistsError), ignore.open("x", encoding="utf-8") as file:
            file.write("*\n")
    except OSError as error:
        is_there = isinstance(error, PermissionError) and os.path.lexists(path)
        what = "cannot be opened by the user of this program" if is_there else "cannot be created"
        raise StoreUnavailableError(
            f"{path}: the folder for the store {what} ({error.strerror}); name another store with --store"
        ) from error


def sync_entries(folder: Path) -> None:
    """Sync the names in a folder to the disk, because syncing a new file does not make its name survive a power cut."""
    with contextlib.suppress(OSError):  # some network file systems cannot sync folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
