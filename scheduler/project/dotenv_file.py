"""The file `.env` beside scheduler.toml, whose variables are set at the start if the setting `dotenv` asks for it.

A variable that is set already keeps its value. The package python-dotenv reads the file.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..install import install_command
from .owners import check_owners
from .small_files import small_text

FILE_NAME = ".env"

_added: dict[str, str] = {}


def set_variables(folder: Path) -> None:
    """Set the variables of the folder's file, where there is one; ConfigError for one that cannot be read."""
    path = folder / FILE_NAME
    check_owners(folder, path)
    try:
        text = small_text(path)
    except FileNotFoundError:
        return
    for name, value in _read(path, text).items():
        if name not in os.environ:
            _set(path, name, value)
    if "TZ" in _added:
        time.tzset()


def variable_files() -> Mapping[str, str]:
    """The variables that came from a file, and its path."""
    return _added


def _set(path: Path, name: str, value: str) -> None:
    try:
        os.environ[name] = value
    except ValueError as error:
        raise ConfigError(f"{path}: the variable {name!r:.60}: {error}") from None
    _added[name] = str(path)


def _read(path: Path, text: str) -> dict[str, str]:
    """The variables in a text; a name without a value sets nothing."""
    try:
        from dotenv.main import DotEnv  # type: ignore[import-not-found, unused-ignore]
        from dotenv.parser import parse_stream  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path}: dotenv = true needs the package python-dotenv: {install_command('dotenv')}"
        ) from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise ConfigError(f"{path}: {_wrong(binding.original.string, binding.original.line)}")
    # `${NAME}` in a value is that of the environment, where there is one.
    read = DotEnv(None, stream=io.StringIO(text), override=False).dict()
    return {name: value for name, value in read.items() if value is not None}


def _wrong(part: str, line: int) -> str:
    """What is wrong with a part of the file, without its value, which may be a secret."""
    text = part.lstrip()
    line += part[: len(part) - len(text)].count("\n")
    name, is_given, _ = text.partition("\n")[0].partition("=")
    return f"line {line}: the value of {name.strip()!r:.60} does not end" if is_given else f"line {line} has no '='"
