"""The keys of the application, as `scheduler up` finds or makes them.

Environment variables come first, as on LeanEngine; what they leave open is read from a file beside the store, or made
up once. All go into the environment before the user's code is loaded, since an old wsgi.py reads them there; what the
code gives to `init` is then the engine's own business.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.environment import variable
from ..errors import ConfigError, StoreUnavailableError

if TYPE_CHECKING:
    pass

#: Environment variable, without its prefix → how long a made-up key is, in bytes.
NAMES: Mapping[str, int] = {"APP_ID": 12, "APP_KEY": 12, "APP_MASTER_KEY": 12, "APP_HOOK_KEY": 12}


def provide(path: Path) -> dict[str, str]:
    """Complete the environment's keys from the file, else by new ones; returns what was not set already."""
    missing = [name for name in NAMES if variable(name) is None]
    if not missing:
        return {}
    kept = _read(path)
    provided = {name: kept.get(name) or secrets.token_hex(NAMES[name]) for name in missing}
    os.environ.update({f"LEANCLOUD_{name}": value for name, value in provided.items()})
    return provided


def keep(provided: Mapping[str, str], path: Path) -> None:
    """Write keys that were made up to a file that only its owner can read, so that the next start has them too."""
    kept = _read(path)
    if all(kept.get(name) == value for name, value in provided.items()):
        return
    make_own_folder(path.parent)
    text = json.dumps({f"LEANCLOUD_{name}": value for name, value in {**kept, **provided}.items()}, indent=2)
    new = path.with_suffix(f".{os.getpid()}")
    try:
        new.touch(mode=0o600, exist_ok=False)
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: the keys cannot be kept ({error.strerror})") from error


def _read(path: Path) -> dict[str, str]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no file of keys ({error}); remove it to get new ones") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) and value for value in table.values()):
        raise ConfigError(f"{path}: no file of keys; remove it to get new ones")
    return {name.removeprefix("LEANCLOUD_"): value for name, value in table.items()}


def make_own_folder(path: Path) -> None:
    """Make a folder that keeps itself out of version control."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise StoreUnavailableError(
            f"{path}: the folder for the store cannot be made ({error.strerror}); name another store with --store"
        ) from error
