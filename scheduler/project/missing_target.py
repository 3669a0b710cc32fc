"""missing_target: the reason why a folder has no functions, and the file that probably has them."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

#: In this order, because the wsgi.py of a LeanEngine project imports its cloud.py.
DEFAULT_TARGETS = ("wsgi.py", "cloud.py")
_ENGINE = re.compile(rb"^\w+(?:\s*:[^=\n]+)?\s*=\s*(?:\w+\.)*Engine\(", re.MULTILINE)
_MOST_FILES = 200
_MOST_BYTES = 100_000


def missing_target(folder: Path) -> str:
    """The reason why a folder has no functions, in one sentence, and where they probably are."""
    for name in DEFAULT_TARGETS:
        path = folder / name
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to {path.readlink()}, which does not exist"
        if path.exists():
            return f"{path} is {'a folder' if path.is_dir() else 'not a regular file'}"
    missing = f"there is neither a wsgi.py nor a cloud.py in {folder}"
    probable = sorted(_with_an_engine(folder), key=str.lower)
    if len(probable) != 1:
        return missing
    return f'{missing}, but an engine in {probable[0]}: put target = "{probable[0]}" into scheduler.toml'


def _with_an_engine(folder: Path) -> Iterator[str]:
    """The files and packages of a folder that make an engine, as their text shows."""
    with contextlib.suppress(OSError):
        paths = (path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
        for path in itertools.islice(paths, _MOST_FILES):
            file = path / "__init__.py" if path.is_dir() else path
            name = path.name if path.is_dir() else file.name
            if _is_name(name) and _makes_an_engine(file):
                yield name


def _is_name(name: str) -> bool:
    return re.fullmatch(r"\w+(?:\.py)?", name) is not None and not name.startswith("test_")


def _makes_an_engine(path: Path) -> bool:
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return _ENGINE.search(file.read(_MOST_BYTES)) is not None
    return False
