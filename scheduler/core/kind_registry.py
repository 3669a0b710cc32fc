"""The registry of trigger kinds: the built-in ones, and those of installed packages.

trigger_kinds.py enters the built-in ones.

A package adds a kind with an entry point of the group `scheduler.triggers`, whose name is the `kind` of the class:

    [project.entry-points."scheduler.triggers"]
    moon = "lunar.triggers:Moon"

Packages are searched once in a process, when a kind is needed that is not built in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from ..errors import TimerError
from .attributes import ATTRIBUTES
from .triggers import Trigger, TriggerOption

GROUP = "scheduler.triggers"
#: The built-in kinds, by their word in the store, in the order of the help.
TRIGGERS: dict[str, type[Trigger]] = {}


class _Plugins(NamedTuple):
    """The kinds of packages: those that could be loaded, and why others could not."""

    kinds: Mapping[str, type[Trigger]]
    faults: Mapping[str, str]


def trigger_kind(word: str) -> type[Trigger]:
    """The kind of that word; TimerError if no installed package has it, or its package cannot be loaded."""
    known = TRIGGERS.get(word) or plugins().kinds.get(word)
    if known is not None:
        return known
    unknown = f"no installed package has the trigger kind {word!r}"
    raise TimerError(plugins().faults.get(word, unknown), field="trigger")


def trigger_kinds() -> list[type[Trigger]]:
    """All available kinds, the built-in ones first."""
    return [*TRIGGERS.values(), *plugins().kinds.values()]


def trigger_options(kinds: Sequence[type[Trigger]]) -> list[TriggerOption]:
    """The options of these kinds, each name once: first those that select a kind, then the others."""
    named: dict[str, TriggerOption] = {}
    for option in _all_options(kinds):
        named.setdefault(option.name, option)
    return list(named.values())


def trigger_columns(kinds: Sequence[type[Trigger]]) -> list[TriggerOption]:
    """The same, each column once: an interval has one column for seconds, and one for units of the calendar."""
    named: dict[str, TriggerOption] = {}
    for option in _all_options(kinds):
        named.setdefault(option.column, option)
    return list(named.values())


def _all_options(kinds: Sequence[type[Trigger]]) -> list[TriggerOption]:
    first = [kind.options[0] for kind in kinds]
    return [*first, *(option for kind in kinds for option in kind.options[1:])]


def choices(kinds: Sequence[type[Trigger]]) -> list[TriggerOption]:
    """The options that select these kinds, each name once."""
    return list({kind.options[0].name: kind.options[0] for kind in reversed(kinds)}.values())[::-1]


def chosen_kind(values: Mapping[str, Any], kinds: Sequence[type[Trigger]]) -> type[Trigger] | None:
    """The kind that option values select; None unless it is exactly one."""
    chosen = [kind for kind in kinds if kind.is_chosen(values)]
    return chosen[0] if len(chosen) == 1 else None


def listed(words: Sequence[str], conjunction: str) -> str:
    """Words as a list in a sentence.

    >>> listed(["--cron", "--every"], "and"), listed(["a", "b", "c"], "or")
    ('--cron and --every', 'a, b or c')
    """
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def plugin_faults() -> list[str]:
    """The errors of packages whose kinds could not be loaded."""
    return list(plugins().faults.values())


@cache
def plugins() -> _Plugins:
    """The kinds of packages; after `plugins.cache_clear()`, packages are searched again."""
    from importlib.metadata import entry_points  # slow to import, and few programs need it

    kinds: dict[str, type[Trigger]] = {}
    faults: dict[str, str] = {}
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist else "?"
        try:
            kinds[entry.name] = _checked(entry.name, entry.load(), [*TRIGGERS.values(), *kinds.values()])
        except Exception as error:  # importing the package may raise anything
            what = error if isinstance(error, TimerError) else f"{type(error).__name__}: {error}"
            faults[entry.name] = (
                f"the trigger kind {entry.name!r} of the package {package} cannot be loaded from {entry.value}: {what}"
            )
    return _Plugins(kinds, faults)


def _checked(word: str, cls: Any, others: Sequence[type[Trigger]]) -> type[Trigger]:
    """The class of an entry point; TimerError if it is not a trigger kind, or conflicts with another."""
    if not (isinstance(cls, type) and issubclass(cls, Trigger)):
        raise TimerError("it is not a subclass of scheduler.timer.Trigger")
    if getattr(cls, "kind", None) != word:
        raise TimerError(f"its kind {getattr(cls, 'kind', None)!r} differs from the name of its entry point")
    if not getattr(cls, "options", ()):
        raise TimerError("it has no options; the first option must select the kind")
    if word in {other.kind for other in others}:
        raise TimerError("another kind has the same name")
    taken = {option.name: option for other in others for option in other.options}
    first = {other.options[0].name for other in others}
    attributes = {attribute.name for attribute in ATTRIBUTES} | {attribute.column for attribute in ATTRIBUTES}
    for option in cls.options:
        if {option.name, option.column} & attributes:
            raise TimerError(f"its option {option.name!r} is already an attribute of timers")
        if option.name in first or taken.get(option.name, option) != option:
            raise TimerError(f"its option {option.name!r} already belongs to another kind")
    return cls
