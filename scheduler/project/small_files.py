"""Reads files that people write, such as scheduler.toml, or raises an error that says what is wrong with one."""

from __future__ import annotations

import stat
from pathlib import Path

from ..errors import ConfigError

_MAX_BYTES = 1_000_000


def small_text(path: Path) -> str:
    """The text of a regular file in UTF-8; FileNotFoundError where there is none, else ConfigError.

    Reading a pipe could block, and a device may have no end.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(
                f"{path}: not a regular file; put the settings into a file, or into environment variables"
            )
        if status.st_size > _MAX_BYTES:
            raise ConfigError(f"{path}: has {status.st_size:,} bytes; a file of settings has at most {_MAX_BYTES:,}")
        return path.read_text(encoding="utf-8-sig")  # editors on Windows begin files with a BOM
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
