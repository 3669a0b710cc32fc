"""The name of this machine's time zone. Imported when the machine's zone is needed."""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Longer than any name of a zone.
_LONGEST_NAME = 200
#: A rule of the C library for a zone without offset, such as UTC0.
_RULE_OF_UTC = re.compile(r"(?:[A-Za-z]{3,}|<[+-]?\w+>)[+-]?00?(?::00)*", re.ASCII)


def local_name() -> str:
    """This machine's name for its zone; empty if it has none.

    As in the C library, an empty TZ is UTC, and `UTC+08:00` in it is a rule for a zone that is eight hours behind UTC.
    """
    name = os.environ.get("TZ")
    if name is not None:
        name = name.removeprefix(":")
        if _RULE_OF_UTC.fullmatch(name):
            return "UTC"
        is_rule = name.startswith("UTC") and name[3:4] in ("+", "-")
        return "" if is_rule else _in_database(name) or "UTC"
    path = str(Path("/etc/localtime").resolve())
    if "zoneinfo/" in path:
        return _in_database(path)
    try:
        return Path("/etc/timezone").read_text(encoding="utf-8")[:_LONGEST_NAME].strip()
    except (OSError, ValueError):
        return ""


def _in_database(path: str) -> str:
    """The name of a zone that is given by the path of its file."""
    if not path.startswith("/"):
        return path
    name = path.partition("zoneinfo/")[2]
    return name.removeprefix("posix/").removeprefix("right/")
