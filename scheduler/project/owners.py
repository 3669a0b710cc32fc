"""Checks the owners of the store and the keys, because these files decide what is called, and who may call it.

Trusted are this process's user, root, and the owner of the project's folder, whose code is run anyway. So a container
that runs as root uses the files that its user has made in a mounted folder.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from ..errors import ConfigError


def check_owners(folder: Path, *paths: Path) -> None:
    """ConfigError for the first path that belongs to another user; `folder` is the project's.

    For a symbolic link, both its own owner and that of its target count.
    """
    trusted = {os.geteuid(), 0, *_owners(folder)}
    for path in paths:
        for uid in _owners(path):
            if uid not in trusted:
                raise ConfigError(
                    f"{path}: belongs to {_name(uid)}, and not to {_name(os.geteuid())}, so it is not used; remove it, "
                    f"or take it over: chown {_name(os.geteuid())} {path}"
                )


def _owners(path: Path) -> list[int]:
    """The owners of a path and of the target of a link; empty if it does not exist."""
    try:
        return [path.lstat().st_uid, path.stat().st_uid]
    except OSError:
        return []


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
