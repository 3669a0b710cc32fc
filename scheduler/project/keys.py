"""The keys of the application: from environment variables, else from a file beside the store, else generated once.

`set_missing_keys` puts all of them into the environment before the user's code is loaded, because an old wsgi.py reads
them there. The engine handles keys that the code passes to `init`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..engine.environment import variable
from ..errors import ConfigError, StoreUnavailableError
from .data_folder import make_own_folder, sync_entries

#: Environment variable without its prefix → length of a generated key in bytes.
KEY_BYTES: Mapping[str, int] = {"APP_ID": 12, "APP_KEY": 12, "APP_MASTER_KEY": 12, "APP_HOOK_KEY": 12}

_LOCK_TIMEOUT_S = 2.0
#: More than any file of keys has.
_MOST_CHARACTERS = 1_000_000
#: The name of the file of generated keys.
KEYS_FILE = "keys.json"


def set_missing_keys(path: Path) -> dict[str, str]:
    """Set the keys that the environment lacks, from the file or generated; returns those that were set."""
    missing = _missing()
    if not missing:
        return {}
    return _set({**_generated(missing), **_known(path, missing)})


def known_keys(path: Path) -> dict[str, str]:
    """The keys of the environment, and of the file those that it lacks; generates none."""
    given = {name: value for name in KEY_BYTES if (value := variable(name)) is not None}
    return {**_known(path, KEY_BYTES), **given}


class MadeKeys(NamedTuple):
    """The keys that were set, and whether a new file contains them."""

    keys: dict[str, str]
    is_new_file: bool


def make_missing_keys(path: Path) -> MadeKeys:
    """The same for a service, which saves generated keys before it loads any code.

    So several services that start at once in a new folder have the same keys: those of the first. If the keys cannot be
    saved, they stay in memory; `save_keys` raises the error once it is known that the code uses them.
    """
    missing = _missing()
    if not missing:
        return MadeKeys({}, is_new_file=False)
    is_new_file = not path.exists()
    with contextlib.suppress(ConfigError, StoreUnavailableError):
        save_keys(_generated(missing), path)
    known = _known(path, missing)
    is_complete = len(known) == len(missing)
    return MadeKeys(_set({**_generated(missing), **known}), is_new_file=is_new_file and is_complete)


def save_keys(keys: Mapping[str, str], path: Path) -> None:
    """Add generated keys to a file that only its owner can read; existing keys in it are kept."""
    if keys.keys() <= _read(path).keys():
        return
    make_own_folder(path.parent)
    new = path.with_suffix(f".{os.getpid()}")
    try:
        with _locked(path.parent):
            saved = _read(path)
            text = json.dumps({f"LEANCLOUD_{name}": value for name, value in {**keys, **saved}.items()}, indent=2)
            new.unlink(missing_ok=True)
            _write_durably(new, text + "\n")
            new.replace(path)
            sync_entries(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: the keys cannot be saved ({error.strerror})") from error


def remove_unused_keys(path: Path, keys: Mapping[str, str]) -> None:
    """Remove the file of keys that this program has made, because the code does not use them."""
    with contextlib.suppress(OSError, ConfigError):
        if _read(path) == keys:
            path.unlink()


def _missing() -> list[str]:
    return [name for name in KEY_BYTES if variable(name) is None]


def _generated(names: Iterable[str]) -> dict[str, str]:
    return {name: secrets.token_hex(KEY_BYTES[name]) for name in names}


def _known(path: Path, names: Iterable[str]) -> dict[str, str]:
    saved = _read(path)
    return {name: saved[name] for name in names if name in saved}


def _set(keys: dict[str, str]) -> dict[str, str]:
    os.environ.update({f"LEANCLOUD_{name}": value for name, value in keys.items()})
    return keys


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Within the block, no other service changes the keys in a folder, unless one hangs and the wait times out."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    give_up_at = time.monotonic() + _LOCK_TIMEOUT_S
    try:
        while time.monotonic() < give_up_at:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _write_durably(path: Path, text: str) -> None:
    """Write a new file and sync it; without the sync, a renamed file could be empty after a power cut."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(descriptor, 0o600)  # whatever the umask takes away
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> dict[str, str]:
    try:
        table = json.loads(_text_of(path))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise ConfigError(
            f"{path.parent}: a file, where the folder of the keys should be; rename or remove it"
        ) from None
    except PermissionError as error:
        raise ConfigError(f"{path}: cannot be opened by the user of this program ({error.strerror})") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a file of keys ({error}); remove it to generate new ones") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) and value for value in table.values()):
        raise ConfigError(f"{path}: not a file of keys; remove it to generate new ones")
    return {name.removeprefix("LEANCLOUD_"): value for name, value in table.items()}


def _text_of(path: Path) -> str:
    """The text of a file; without waiting for a writer, in case it is a FIFO."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        return file.read(_MOST_CHARACTERS)
