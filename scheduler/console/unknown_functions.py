"""Finds timers that call a function which the catalogue lacks: its name may be mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..core.timer import Timer
from ..project.suggestions import most_similar
from ..store.catalogue import known_names
from ..store.database import Store


class UnknownFunction(NamedTuple):
    """A function that a timer calls and the catalogue lacks; `similar` is the most similar name that it has."""

    name: str
    environment: str
    similar: str | None

    def __str__(self) -> str:
        hint = f"; did you mean {self.similar!r}?" if self.similar else ""
        return f"no function {self.name!r} has been loaded in {self.environment}{hint}"


def unknown_functions(store: Store, timers: Iterable[Timer]) -> list[UnknownFunction]:
    """The functions of these timers that the catalogue lacks, each once.

    Those of an environment whose functions are not known, such as that of a remote engine, are left out.
    """
    known = known_names(store)
    called = dict.fromkeys((timer.function, str(timer.environment)) for timer in timers)
    return [
        UnknownFunction(name, environment, most_similar(name, known[environment]))
        for name, environment in called
        if environment in known and name not in known[environment]
    ]


def is_checked(store: Store, timer: Timer) -> bool:
    """Whether the functions of the timer's environment are known, so that a mistyped one is seen."""
    return timer.environment in known_names(store)
