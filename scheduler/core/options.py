"""Option: one part of a timer's definition, and what it is called in every form in which a timer is given or shown.

Lives here: the value, and the functions that read one from a cell of a CSV list or from JSON. Never here: which options
there are. A timer's are in attributes.py, a trigger's in its class.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import shown

_TRUTH = {
    **dict.fromkeys(("true", "yes", "on", "1", "是", "启用", "已启用"), True),
    **dict.fromkeys(("false", "no", "off", "0", "否", "停用", "未启用"), False),
}


# Readers: each turns a cell or a JSON value into a Python value, or raises ValueError


def text(value: Any) -> str:
    """A text, unchanged."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {json.dumps(value)[:40]}")
    return value


def trimmed(value: Any) -> str:
    """A text without the blanks around it."""
    return text(value).strip()


def word(value: Any) -> str:
    """A text in lower case without the blanks around it."""
    return trimmed(value).lower()


def whole(value: Any) -> int:
    """A whole number."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return int(value)
        except ValueError:
            pass
    raise ValueError(f"expected a whole number, got {shown(value)}")


def number(value: Any) -> float:
    """A number of seconds."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"expected a number of seconds, got {shown(value)}")


def truth(value: Any) -> bool:
    """True or False, as true, yes, on, 1, false, no, off or 0, or in Chinese."""
    read = _TRUTH.get(str(value).strip().lower())
    if read is None:
        raise ValueError(f"expected true or false, got {shown(value)}")
    return read


def json_fault(error: Exception) -> str:
    """What is wrong with a JSON text, or with a value that has none, by the error of the json module."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    # Python's own words name a function of the interpreter.
    return "a number has too many digits" if str(error).startswith("Exceeds the limit") else str(error)


def json_value(value: Any) -> Any:
    """The value of a JSON text; any other value is returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"invalid JSON: {json_fault(error)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One part of a timer's definition.

    `name` is its keyword in a program and in `@engine.timer`, `column` its column in CSV and JSON lists (which also
    accept `synonyms`), `key` its key in `timers list --json`, `flag` its option on the command line, besides one that
    is spelled as the name. An empty `column` or `key` means `name`; `key` or `flag` None means that it has none. `read`
    converts a cell or a JSON value to a value, `cell` a value to a cell.
    """

    name: str
    column: str = ""
    key: str | None = ""
    flag: str | None = None
    read: Callable[[Any], Any] = text
    cell: Callable[[Any], str] = str
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    help: str = ""
    synonyms: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Its options on the command line: the flag, and one that is spelled as the name."""
        spelled = f"--{self.name.replace('_', '-')}"
        return () if self.flag is None else (self.flag,) if self.flag == spelled else (self.flag, spelled)

    @property
    def names(self) -> tuple[str, ...]:
        """Its names in a list and in a declaration: the name, the column, and the synonyms."""
        return tuple(dict.fromkeys((self.name, self.column, *self.synonyms)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", self.column or self.name)
        object.__setattr__(self, "key", self.name if self.key == "" else self.key)
