"""The command that installs an extra of this distribution from the same source, for error messages."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NAME, _PACKAGE = "quartzcron", "scheduler"


def install_command(extra: str, *, upgrade: bool = False) -> str:
    """`pip install '…[extra]'`, from the folder, file or repository of this installation if it is not from an index.

    >>> install_command("scheduler").startswith("pip install ")
    True
    """
    return f"pip install {'-U ' if upgrade else ''}{shlex.quote(_requirement(extra))}"


def other_distributions() -> list[str]:
    """The other distributions that have a package `scheduler`, such as the one of that name on PyPI, with versions."""
    from importlib.metadata import packages_distributions, version

    names = sorted(set(packages_distributions().get(_PACKAGE, ())) - {_NAME})
    return [f"{name} {version(name)}" for name in names]


def damage() -> str:
    """What is wrong with the package `scheduler` that was imported, and the fix; empty if it is this one's.

    Another distribution of that name has overwritten its `__init__.py`, or removed it when it was uninstalled.
    """
    if "_MOVED" in vars(sys.modules[_PACKAGE]):
        return ""
    others = other_distributions()
    found = f"is that of {' and '.join(others)}" if others else "has lost its __init__.py"
    return f"the package 'scheduler' {found}, not that of {_NAME}; {reinstalling(others)}"


def reinstalling(others: list[str]) -> str:
    """How to get rid of other distributions with a package `scheduler`."""
    uninstall = "".join(f"pip uninstall {name.partition(' ')[0]}, then " for name in others)
    return f"{uninstall}pip install --force-reinstall --no-deps {shlex.quote(_requirement('scheduler'))}"


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
