"""The command that installs an extra of this distribution from the same source, for error messages."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

_NAME = "quartzcron"


def install_command(extra: str, *, upgrade: bool = False) -> str:
    """`pip install '…[extra]'`, from the folder, file or repository of this installation if it is not from an index.

    >>> install_command("scheduler").startswith("pip install ")
    True
    """
    return f"pip install {'-U ' if upgrade else ''}{shlex.quote(_requirement(extra))}"


@contextmanager
def explained(extra: str) -> Iterator[None]:
    """Within the block, the error for a missing package says which command installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("quartzcron", "scheduler"):
            raise
        raise ModuleNotFoundError(f"{error}; {install_command(extra)}", name=error.name) from error


def _requirement(extra: str) -> str:
    from importlib.metadata import PackageNotFoundError, distribution  # slow to import, and needed for errors only

    try:
        recorded = distribution(_NAME).read_text("direct_url.json")
        return _direct(json.loads(recorded), extra) if recorded else f"{_NAME}[{extra}]"
    except (PackageNotFoundError, ValueError, KeyError, TypeError, AttributeError, OSError):
        return f"{_NAME}[{extra}]"


def _direct(recorded: dict[str, object], extra: str) -> str:
    """The requirement for an installation that is not from an index, as pip records it (PEP 610)."""
    url = str(recorded["url"])
    if "vcs_info" in recorded:
        return f"{_NAME}[{extra}] @ git+{url}"
    if "dir_info" in recorded and url.startswith("file://"):
        from urllib.request import url2pathname

        return f"{url2pathname(url.removeprefix('file://'))}[{extra}]"
    return f"{_NAME}[{extra}] @ {url}"
