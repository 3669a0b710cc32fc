"""Timers that are declared beside their functions, with @engine.timer: how the store is brought in line with them.

The store remembers what was declared last, so that it can tell a changed declaration from an edit by hand:

    declared                    the store
    for the first time          has none of that name: the timer is added, disabled unless it says `enabled=True`
                                has one: it stays as it is, and counts as declared from now on
    as before                   stays as it is; what was edited by hand outlives a restart
    otherwise than before       the attributes whose declaration changed are taken over, the others stay
    no longer                   is disabled, never removed; a later declaration sets it going again, if it was going
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, tuple_, update

from ..core.attributes import ATTRIBUTES
from ..core.timer import DEFAULT_QUOTA, Environment, Timer
from ..core.timestamps import EPOCH
from ..core.trigger_kinds import TRIGGERS, chosen_kind, listed, plugin_faults, trigger_kinds, trigger_options
from ..core.triggers import DEFAULT_TZ, Every, Trigger, TriggerOption
from ..errors import ArgumentError, TimerError
from ..functions.binding import bind
from ..functions.registry import Registry, TimerDeclaration
from .database import Store
from .rows import timer_columns, timer_of
from .schema import timers
from .timers import check_quota, claimed_by_name, edited_columns, new_columns, stored_timer

#: The option of a trigger that `@engine.timer` takes without its name.
POSITIONAL = "cron"


class Effect(StrEnum):
    """What a declaration, or its absence, did to the store."""

    ADDED = "added"
    ADOPTED = "adopted"
    CHANGED = "changed"
    DISABLED = "disabled"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one timer; `timer` is as the store has it now, `details` are the attributes that it is about."""

    effect: Effect
    timer: Timer
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        name, details = repr(self.timer.name), ", ".join(self.details)
        state = "enabled" if self.timer.enabled else "disabled"
        match self.effect:
            case Effect.ADDED:
                return f"added the timer {name}, {state}"
            case Effect.ADOPTED:
                return f"the timer {name} was there before its declaration, and stays as it is: it differs in {details}"
            case Effect.CHANGED:
                return f"changed the timer {name}, {state}: {details}"
            case Effect.DISABLED:
                return f"disabled the timer {name}: it is no longer declared"
            case Effect.RESUMED:
                return f"the timer {name} is declared again, {state}" + (f": {details}" if details else "")


# From decorators to timers


def declared_timers(registry: Registry, environment: Environment, tz: str = DEFAULT_TZ) -> list[Timer]:
    """The timers that functions declare, in `environment` and by the clock of `tz` unless they say otherwise.

    TimerError names the function whose declaration is wrong, or the two functions whose timers have the same name.
    """
    found: dict[tuple[str, str], Timer] = {}
    for declaration in registry.timers:
        timer = _timer(registry, declaration, environment, tz)
        twin = found.setdefault((timer.environment, timer.name), timer)
        if twin is not timer:
            raise TimerError(
                f"@engine.timer of {timer.function!r}: {twin.function!r} declares a timer {timer.name!r} too; "
                "give one of them another name, as in name='nightly'",
                field="name",
            )
    return list(found.values())


def _timer(registry: Registry, declaration: TimerDeclaration, environment: Environment, tz: str) -> Timer:
    options: dict[str, Any] = {"name": declaration.function, "environment": environment, **declaration.options}
    try:
        trigger = _trigger(declaration.schedule, options, tz)
        timer = Timer(function=declaration.function, trigger=trigger, **_options(options))
        bind(registry.get(declaration.function), timer.params)
        return timer
    except (TypeError, TimerError, ArgumentError) as error:
        raise TimerError(f"@engine.timer of {declaration.function!r}: {error}") from error


def _trigger(schedule: str | None, options: dict[str, Any], default_tz: str) -> Trigger:
    """The trigger of a declaration, whose options are taken out of `options`."""
    kinds = _kinds(options)
    named = [option.name for option in trigger_options(kinds) if option.name != POSITIONAL]
    given = {name: options.pop(name) for name in named if name in options}
    values = {"tz": default_tz, POSITIONAL: schedule, **given}
    kind = chosen_kind(values, kinds)
    if kind is None:
        raise TimerError(
            f"give {listed([kind.options[0].noun for kind in kinds], 'or')}, "
            f"as in {listed([_example(kind.options[0]) for kind in kinds], 'or')}"
        )
    return kind.from_options(values)


def _kinds(options: Mapping[str, Any]) -> Sequence[type[Trigger]]:
    """The kinds of triggers that a declaration may mean: those of other packages where it has an option of theirs."""
    built_in = list(TRIGGERS.values())
    known = {option.name for option in trigger_options(built_in)} | _KNOWN
    return built_in if options.keys() <= known else trigger_kinds()


def _example(option: TriggerOption) -> str:
    """An option as it stands in a declaration."""
    return f'"{option.example}"' if option.name == POSITIONAL else f"{option.name}={option.read(option.example)!r}"


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := options.keys() - _KNOWN:
        of_triggers = [option.name for option in trigger_options(trigger_kinds()) if option.name != POSITIONAL]
        message = f"there is no option {min(unknown)!r}; options are {', '.join([*of_triggers, *sorted(_KNOWN)])}"
        raise TimerError("; ".join([message, *plugin_faults()]))
    return dict(options)


#: The attributes that are options of a declaration; its function is given by where it stands.
_KNOWN = frozenset(attribute.name for attribute in ATTRIBUTES) - {"function"}
#: Attributes whose values no message shows.
_SECRET = frozenset(attribute.name for attribute in ATTRIBUTES if attribute.is_secret)


# From timers to the store


def synchronise(
    store: Store,
    declared: Iterable[Timer],
    environment: Environment,
    *,
    now: datetime,
    quota: int = DEFAULT_QUOTA,
) -> list[Change]:
    """Bring the store in line with what the functions of `environment` declare; returns what that changed.

    One transaction, one caller at a time: any number of daemons may start at once. Raises TimerQuotaError where an
    environment would hold more than `quota` timers, 0 = no limit; nothing is changed then.
    """
    wanted = list(declared)
    with store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        kept = {(row.environment, row.name): row for row in _concerned(connection, wanted, environment)}
        new = [timer for timer in wanted if (timer.environment, timer.name) not in kept]
        check_quota(connection, new, quota)
        if new:
            claimed = claimed_by_name(connection, now)
            rows = [new_columns(timer, now, claimed) | _declared(timer, environment) for timer in new]
            connection.execute(insert(timers), rows)
        changes = [Change(Effect.ADDED, timer) for timer in new]
        by_key = {(timer.environment, timer.name): timer for timer in wanted}
        for key, row in kept.items():
            timer = by_key.get((Environment(key[0]), key[1]))
            change = (
                _vanished(connection, row) if timer is None else _taken_over(connection, row, timer, environment, now)
            )
            changes += [change] if change else []
    return changes


def _concerned(connection: Connection, wanted: Sequence[Timer], environment: Environment) -> Sequence[Row[Any]]:
    """The timers of the store that are declared, or were; locked in the order of their ids, as everyone locks them."""
    keys = [(timer.environment.value, timer.name) for timer in wanted]
    named = tuple_(timers.c.environment, timers.c.name).in_(keys)
    found = select(timers).where(or_(named, timers.c.declared_in == environment)).order_by(timers.c.id)
    return connection.execute(found.with_for_update(key_share=True)).all()


def _vanished(connection: Connection, row: Row[Any]) -> Change | None:
    if row.suspended is not None:
        return None
    _write(connection, row, {"suspended": row.enabled, "enabled": False, "next_fire_at": None})
    return Change(Effect.DISABLED, replace(timer_of(row), enabled=False)) if row.enabled else None


def _taken_over(
    connection: Connection, row: Row[Any], timer: Timer, environment: Environment, now: datetime
) -> Change | None:
    kept, declared = timer_of(row), _declared(timer, environment)
    if row.declaration is None:
        _write(connection, row, declared)
        differing = tuple(name for name in _differing(_attributes(kept), _attributes(timer)) if name != "enabled")
        return Change(Effect.ADOPTED, kept, differing) if differing else None
    changes = _changes(row, kept, timer)
    if changes or row.declaration != declared["declaration"] or row.suspended is not None:
        edited = edited_columns(connection, stored_timer(row), changes, now) if changes else {}
        _write(connection, row, declared | edited)
    details = tuple(_told(name, getattr(kept, name), value) for name, value in changes.items() if name != "enabled")
    if row.suspended is not None:
        return Change(Effect.RESUMED, replace(kept, **changes), details)
    return Change(Effect.CHANGED, replace(kept, **changes), details) if changes else None


def _changes(row: Row[Any], kept: Timer, timer: Timer) -> dict[str, Any]:
    """The attributes that a timer takes over from its declaration: those that are declared otherwise than before."""
    has, wanted = _attributes(kept), _attributes(timer)
    redeclared = _differing(json.loads(row.declaration), wanted)
    changes = {name: getattr(timer, name) for name in redeclared if has[name] != wanted[name]}
    if row.suspended and "enabled" not in redeclared and not kept.enabled:
        changes["enabled"] = True
    return changes


def _write(connection: Connection, row: Row[Any], values: Mapping[str, Any]) -> None:
    revised = {**values, "revision": timers.c.revision + 1}
    connection.execute(update(timers).where(timers.c.id == row.id).values(revised))


def _declared(timer: Timer, environment: Environment) -> dict[str, Any]:
    """The columns that say that a timer is declared, and how."""
    declaration = json.dumps(_attributes(timer), ensure_ascii=False, sort_keys=True)
    return {"declared_in": environment.value, "declaration": declaration, "suspended": None}


def _attributes(timer: Timer) -> dict[str, Any]:
    """What a declaration says of a timer, by attribute, as JSON has it; the anchor of an interval is the store's."""
    trigger = timer.trigger.anchored(EPOCH)
    columns = timer_columns(timer)
    for name in ("name", "environment", "trigger_kind", "trigger"):
        del columns[name]
    return {"trigger": {"kind": trigger.stored()[0], **trigger.as_json()}, **columns}


#: What a declaration of an older version, which knew fewer attributes, stands for.
_DEFAULTS = _attributes(Timer(name="t", function="f", trigger=Every(1)))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name, value in now.items() if before.get(name, _DEFAULTS[name]) != value]


def _told(name: str, before: Any, now: Any) -> str:
    """A change in words."""
    return name if name in _SECRET else f"{name} {before} → {now}"
