"""Whose files a project uses: the store and the keys say what is called, and who may call it.

Trusted are this process's user, root, and the owner of the project's folder, whose code is run anyway. So a container
that runs as root uses what its user has made in a folder that is mounted there.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from ..errors import ConfigError


def check_owners(folder: Path, *paths: Path) -> None:
    """ConfigError for the first of the paths that belongs to a stranger; `folder` is the project's.

    Of a symbolic link, its own owner counts, and that of the file to which it leads.
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
    """Of the name and of what it leads to; none where there is nothing."""
    try:
        return [path.lstat().st_uid, path.stat().st_uid]
    except OSError:
        return []


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
