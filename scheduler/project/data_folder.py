"""The folder `.scheduler` of a project: it holds the store and the generated keys where no other place is set."""

from __future__ import annotations

from pathlib import Path

from ..errors import StoreUnavailableError

OWN_FOLDER = ".scheduler"


def make_own_folder(path: Path) -> None:
    """Create the folder, readable by its owner only, with a .gitignore that keeps it out of version control."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise StoreUnavailableError(
            f"{path}: the folder for the store cannot be created ({error.strerror}); name another store with --store"
        ) from error
