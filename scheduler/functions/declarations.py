"""Reads the declarations of @engine.timer: each becomes a timer, or a fault with its file and line.

Never here: their effect on the store (store/declaration_sync.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..core.any_of import AnyOf
from ..core.attributes import ATTRIBUTES
from ..core.timer import Environment, Timer
from ..core.timer_values import timer_columns, timer_from
from ..core.trigger_kinds import (
    TRIGGERS,
    choices,
    chosen_kind,
    listed,
    plugin_faults,
    trigger_kinds,
    trigger_options,
)
from ..core.triggers import Trigger, TriggerOption
from ..core.without_effect import without_effect
from ..default_rules import DefaultZone, assumed_zone
from ..errors import TimerError
from .binding import bind
from .registry import Registry, TimerDeclaration

#: The option of a trigger that `@engine.timer` takes without its name.
POSITIONAL = "cron"


@dataclass(frozen=True, slots=True)
class DeclaredTimer:
    """A declared timer; `assumed` is its zone if the declaration names none, `place` its file and line."""

    timer: Timer
    place: str = ""
    assumed: DefaultZone | None = None


@dataclass(frozen=True, slots=True)
class DeclarationFault:
    """An invalid declaration and the reason; `place` is its file and line."""

    function: str
    name: str
    environment: str
    place: str
    reason: str

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        named = f", timer {self.name!r}" if self.name != self.function else ""
        return f"@engine.timer of {self.function!r}{named}{where}: {self.reason}"

    @classmethod
    def of(cls, declared: DeclaredTimer, reason: str) -> DeclarationFault:
        """The fault of a valid declaration whose timer the store refuses."""
        timer = declared.timer
        return cls(timer.function, timer.name, timer.environment.value, declared.place, reason)


class Declared(NamedTuple):
    """The declarations of a registry: timers, and faults."""

    timers: Sequence[DeclaredTimer]
    faults: Sequence[DeclarationFault]


def declared_timers(registry: Registry, environment: Environment, tz: str | None = None) -> list[Timer]:
    """The timers that functions declare, by default in `environment` and in the time zone `tz`.

    TimerError names the function whose declaration is wrong, or the two functions whose timers have the same name.
    """
    declared = read_declarations(registry, environment, assumed_zone() if tz is None else DefaultZone(tz))
    for fault in declared.faults:
        raise TimerError(str(fault))
    return [entry.timer for entry in declared.timers]


def read_declarations(registry: Registry, environment: Environment, zone: DefaultZone) -> Declared:
    """The timers that functions declare, by default in `environment` and in `zone`; an invalid one becomes a fault."""
    declared: dict[tuple[str, str], DeclaredTimer] = {}
    faults: list[DeclarationFault] = []
    for declaration in registry.timers:
        try:
            read = _declared(registry, declaration, environment, zone)
        except Exception as error:  # options may be any values, and other packages may provide kinds of triggers
            faults.append(_fault(declaration, environment, str(error) or type(error).__name__))
            continue
        other = declared.setdefault((read.timer.environment, read.timer.name), read)
        if other is not read:
            reason = (
                f"{other.timer.function!r} declares a timer {read.timer.name!r} too; "
                "give one of them another name, as in name='nightly'"
            )
            faults.append(DeclarationFault.of(read, reason))
    return Declared(list(declared.values()), faults)


def idle_options(declared: Declared) -> list[str]:
    """A sentence for each option of a declaration that has no effect."""
    return [
        str(DeclarationFault.of(entry, str(each))) for entry in declared.timers for each in without_effect(entry.timer)
    ]


def as_data(declared: Declared) -> dict[str, Any]:
    """Declarations as JSON values, for another process."""
    return {
        "timers": [[timer_columns(entry.timer), entry.place, entry.assumed] for entry in declared.timers],
        "faults": [asdict(fault) for fault in declared.faults],
    }


def from_data(values: Mapping[str, Any]) -> Declared:
    """The declarations from another process."""
    entries = [
        DeclaredTimer(timer_from(SimpleNamespace(**columns)), place, assumed and DefaultZone(*assumed))
        for columns, place, assumed in values["timers"]
    ]
    return Declared(entries, [DeclarationFault(**fault) for fault in values["faults"]])


def _fault(declaration: TimerDeclaration, environment: Environment, reason: str) -> DeclarationFault:
    name, its = (declaration.options.get(key) for key in ("name", "environment"))
    return DeclarationFault(
        declaration.function,
        name if isinstance(name, str) else declaration.function,
        str(its) if isinstance(its, str) else environment.value,
        declaration.place,
        reason,
    )


def _declared(
    registry: Registry, declaration: TimerDeclaration, environment: Environment, zone: DefaultZone
) -> DeclaredTimer:
    given = {_SYNONYMS.get(name, name): value for name, value in declaration.options.items()}
    if len(given) < len(declaration.options):
        raise TimerError(f"an option is given twice, under two names: {', '.join(sorted(declaration.options))}")
    options: dict[str, Any] = {"name": declaration.function, "environment": environment, **given}
    names_none = options.get("tz") is None
    trigger = _trigger(declaration.schedule, options, zone.name)
    timer = Timer(function=declaration.function, trigger=trigger, **_options(options))
    bind(registry.get(declaration.function), timer.params)
    assumed = zone if names_none and zone.whose and trigger.tz is not None else None
    return DeclaredTimer(timer, declaration.place, assumed)


def _trigger(schedule: Any, options: dict[str, Any], default_tz: str) -> Trigger:
    """The trigger of a declaration; its options are removed from `options`."""
    kinds = _kinds(options)
    named = [option.name for option in trigger_options(kinds) if option.name != POSITIONAL]
    given = {name: options.pop(name) for name in named if name in options}
    if isinstance(schedule, Trigger):
        if given:
            raise TimerError(f"the option {min(given)!r} goes with an expression as text, not with {schedule!r:.60}")
        return schedule
    if isinstance(schedule, list | tuple):
        each = [(one, {} if isinstance(one, Trigger) else dict(given)) for one in schedule]
        return AnyOf(*(_trigger(one, its, default_tz) for one, its in each))
    values = {"tz": default_tz, POSITIONAL: schedule, **given}
    kind = chosen_kind(values, kinds)
    if kind is None:
        _options(options)  # an unknown option may be what was meant
        offered = [option for option in choices(kinds) if option.flag]
        raise TimerError(
            f"give {listed([option.noun for option in offered], 'or')}, "
            f"as in {listed([_example(option) for option in offered], 'or')}"
        )
    _refuse_others(kind, given)
    return kind.from_options(values)


def _refuse_others(kind: type[Trigger], given: Mapping[str, Any]) -> None:
    """TimerError for an option that this kind of trigger lacks, as an interval has no time zone."""
    known = {option.name for option in kind.options}
    for option in trigger_options([*TRIGGERS.values(), kind]):
        if option.name not in known and given.get(option.name) is not None:
            noun = kind.options[0].noun
            raise TimerError(f"{noun} has no {option.noun or option.name}: leave {option.name} out", field=option.name)


def _kinds(options: Mapping[str, Any]) -> Sequence[type[Trigger]]:
    """The built-in kinds of triggers, and those of other packages where a declaration has an unknown option."""
    built_in = list(TRIGGERS.values())
    known = {option.name for option in trigger_options(built_in)} | _KNOWN
    return built_in if options.keys() <= known else trigger_kinds()


def _example(option: TriggerOption) -> str:
    """An option as it is written in a declaration."""
    value = option.read(option.example)
    value = value[0] if isinstance(value, list) else value
    return f'"{value}"' if option.name == POSITIONAL else f"{option.name}={value!r}"


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := options.keys() - _KNOWN:
        of_triggers = [option.name for option in trigger_options(trigger_kinds()) if option.name != POSITIONAL]
        message = f"there is no option {min(unknown)!r}; options are {', '.join([*of_triggers, *sorted(_KNOWN)])}"
        if min(unknown) in _SCHEDULE_WORDS:
            message = f'there is no option {min(unknown)!r}; the schedule comes first: @engine.timer("0 0 8 ? * MON")'
        raise TimerError("; ".join([message, *plugin_faults()]))
    return dict(options)


#: The attributes that are options of a declaration; its function is the one that it decorates.
_KNOWN = frozenset(attribute.name for attribute in ATTRIBUTES) - {"function"}
#: What other libraries call the schedule, which is the first argument here.
_SCHEDULE_WORDS = frozenset({"cron", "crontab", "expression", "schedule", "trigger"})
#: Their names in lists: `limit`, `breaker`, `jitter` …
_SYNONYMS = {name: attribute.name for attribute in ATTRIBUTES for name in attribute.names}
