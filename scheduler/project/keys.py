"""The keys of the application: from environment variables, else from a file beside the store, else generated once.

`set_missing_keys` puts all of them into the environment before the user's code is loaded, because an old wsgi.py reads
them there. Keys that the code passes to `init` are the engine's own business.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ..engine.environment import variable
from ..errors import ConfigError
from .data_folder import make_own_folder, sync_entries

#: Environment variable without its prefix → length of a generated key in bytes.
KEY_BYTES: Mapping[str, int] = {"APP_ID": 12, "APP_KEY": 12, "APP_MASTER_KEY": 12, "APP_HOOK_KEY": 12}

#: The name of the file of generated keys.
KEYS_FILE = "keys.json"


def set_missing_keys(path: Path) -> dict[str, str]:
    """Set the keys that the environment lacks, from the file or generated; returns those that were set."""
    missing = [name for name in KEY_BYTES if variable(name) is None]
    if not missing:
        return {}
    saved = _read(path)
    keys = {name: saved.get(name) or secrets.token_hex(KEY_BYTES[name]) for name in missing}
    os.environ.update({f"LEANCLOUD_{name}": value for name, value in keys.items()})
    return keys


def save_keys(keys: Mapping[str, str], path: Path) -> None:
    """Write generated keys to a file that only its owner can read, so that the next start uses them too."""
    saved = _read(path)
    if all(saved.get(name) == value for name, value in keys.items()):
        return
    make_own_folder(path.parent)
    text = json.dumps({f"LEANCLOUD_{name}": value for name, value in {**saved, **keys}.items()}, indent=2)
    new = path.with_suffix(f".{os.getpid()}")
    try:
        _write_durably(new, text + "\n")
        new.replace(path)
        sync_entries(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: the keys cannot be saved ({error.strerror})") from error


def _write_durably(path: Path, text: str) -> None:
    """Write a new file to the disk; renamed before that, it could be empty after a power cut."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> dict[str, str]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a file of keys ({error}); remove it to generate new ones") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) and value for value in table.values()):
        raise ConfigError(f"{path}: not a file of keys; remove it to generate new ones")
    return {name.removeprefix("LEANCLOUD_"): value for name, value in table.items()}
