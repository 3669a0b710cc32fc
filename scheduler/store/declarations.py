"""Timers that are declared beside their functions with @engine.timer, and how the store is synchronized with them.

The store keeps what was declared last, so a changed declaration is distinguished from a manual edit:

    declaration         timer in the store
    new                 none of that name: it is added, disabled unless declared with `enabled=True`
                        one of that name: it stays as it is, and is a declared timer from then on
    unchanged           stays as it is; manual edits survive restarts
    changed             gets the attributes whose declaration changed; the others stay
    gone                is disabled, never removed; if it was enabled, a later declaration enables it again
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
from .claimed_fires import claimed_by_name
from .database import Store
from .rows import timer_columns, timer_of
from .schema import timers
from .timers import check_quota, edited_columns, new_columns, stored_timer_of

#: The option of a trigger that `@engine.timer` takes without its name.
POSITIONAL = "cron"


class Effect(StrEnum):
    """What a declaration, or the lack of one, did to a timer of the store."""

    ADDED = "added"
    ADOPTED = "adopted"
    CHANGED = "changed"
    DISABLED = "disabled"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Change:
    """What synchronizing did to one timer; `timer` is as the store has it now, `details` names the attributes."""

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
                return f"the timer {name} already existed and was not changed; the declaration differs in {details}"
            case Effect.CHANGED:
                return f"changed the timer {name}, {state}: {details}"
            case Effect.DISABLED:
                return f"disabled the timer {name}: it is no longer declared"
            case Effect.RESUMED:
                return f"the timer {name} is declared again, {state}" + (f": {details}" if details else "")


# From decorators to timers


def declared_timers(registry: Registry, environment: Environment, tz: str = DEFAULT_TZ) -> list[Timer]:
    """The timers that functions declare, by default in `environment` and in the time zone `tz`.

    TimerError names the function whose declaration is wrong, or the two functions whose timers have the same name.
    """
    declared: dict[tuple[str, str], Timer] = {}
    for declaration in registry.timers:
        timer = _timer(registry, declaration, environment, tz)
        other = declared.setdefault((timer.environment, timer.name), timer)
        if other is not timer:
            raise TimerError(
                f"@engine.timer of {timer.function!r}: {other.function!r} declares a timer {timer.name!r} too; "
                "give one of them another name, as in name='nightly'",
                field="name",
            )
    return list(declared.values())


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
    """The trigger of a declaration; its options are removed from `options`."""
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
    """The built-in kinds of triggers, and those of other packages where a declaration has an unknown option."""
    built_in = list(TRIGGERS.values())
    known = {option.name for option in trigger_options(built_in)} | _KNOWN
    return built_in if options.keys() <= known else trigger_kinds()


def _example(option: TriggerOption) -> str:
    """An option as it is written in a declaration."""
    return f'"{option.example}"' if option.name == POSITIONAL else f"{option.name}={option.read(option.example)!r}"


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := options.keys() - _KNOWN:
        of_triggers = [option.name for option in trigger_options(trigger_kinds()) if option.name != POSITIONAL]
        message = f"there is no option {min(unknown)!r}; options are {', '.join([*of_triggers, *sorted(_KNOWN)])}"
        raise TimerError("; ".join([message, *plugin_faults()]))
    return dict(options)


#: The attributes that are options of a declaration; its function is the one that it decorates.
_KNOWN = frozenset(attribute.name for attribute in ATTRIBUTES) - {"function"}
#: Attributes whose values are not logged.
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
    """Synchronize the store with the timers that the functions of `environment` declare; returns the changes.

    It is one transaction, which waits for that of any other caller, so daemons may start at the same time. Raises
    TimerQuotaError where an environment would hold more than `quota` timers (0 = no limit); then nothing is changed.
    """
    wanted = list(declared)
    with store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        rows = {(row.environment, row.name): row for row in _lock_rows(connection, wanted, environment)}
        new = [timer for timer in wanted if (timer.environment, timer.name) not in rows]
        check_quota(connection, new, quota)
        if new:
            claimed = claimed_by_name(connection, now)
            added = [new_columns(timer, now, claimed) | _declared(timer, environment) for timer in new]
            connection.execute(insert(timers), added)
        changes = [Change(Effect.ADDED, timer) for timer in new]
        by_key = {(timer.environment, timer.name): timer for timer in wanted}
        for key, row in rows.items():
            timer = by_key.get((Environment(key[0]), key[1]))
            change = _suspend(connection, row) if timer is None else _apply(connection, row, timer, environment, now)
            changes += [change] if change else []
    return changes


def _lock_rows(connection: Connection, wanted: Sequence[Timer], environment: Environment) -> Sequence[Row[Any]]:
    """The rows of timers that are declared, or were; locked in the order of their ids, as all transactions do it."""
    keys = [(timer.environment.value, timer.name) for timer in wanted]
    named = tuple_(timers.c.environment, timers.c.name).in_(keys)
    query = select(timers).where(or_(named, timers.c.declared_in == environment)).order_by(timers.c.id)
    return connection.execute(query.with_for_update(key_share=True)).all()


def _suspend(connection: Connection, row: Row[Any]) -> Change | None:
    """Disable a timer that is no longer declared."""
    if row.suspended is not None:
        return None
    _write(connection, row, {"suspended": row.enabled, "enabled": False, "next_fire_at": None})
    return Change(Effect.DISABLED, replace(timer_of(row), enabled=False)) if row.enabled else None


def _apply(
    connection: Connection, row: Row[Any], timer: Timer, environment: Environment, now: datetime
) -> Change | None:
    """Write what a declaration changes of a timer of the store."""
    stored, declared = timer_of(row), _declared(timer, environment)
    if row.declaration is None:
        _write(connection, row, declared)
        differing = tuple(name for name in _differing(_attributes(stored), _attributes(timer)) if name != "enabled")
        return Change(Effect.ADOPTED, stored, differing) if differing else None
    changes = _changes(row, stored, timer)
    if changes or row.declaration != declared["declaration"] or row.suspended is not None:
        edited = edited_columns(connection, stored_timer_of(row), changes, now) if changes else {}
        _write(connection, row, declared | edited)
    details = tuple(
        _change_text(name, getattr(stored, name), value) for name, value in changes.items() if name != "enabled"
    )
    if row.suspended is not None:
        return Change(Effect.RESUMED, replace(stored, **changes), details)
    return Change(Effect.CHANGED, replace(stored, **changes), details) if changes else None


def _changes(row: Row[Any], stored: Timer, timer: Timer) -> dict[str, Any]:
    """The attributes whose declaration changed, and that the timer does not have yet."""
    has, wanted = _attributes(stored), _attributes(timer)
    redeclared = _differing(json.loads(row.declaration), wanted)
    changes = {name: getattr(timer, name) for name in redeclared if has[name] != wanted[name]}
    if row.suspended and "enabled" not in redeclared and not stored.enabled:
        changes["enabled"] = True
    return changes


def _write(connection: Connection, row: Row[Any], values: Mapping[str, Any]) -> None:
    revised = {**values, "revision": timers.c.revision + 1}
    connection.execute(update(timers).where(timers.c.id == row.id).values(revised))


def _declared(timer: Timer, environment: Environment) -> dict[str, Any]:
    """The columns that hold the declaration of a timer."""
    declaration = json.dumps(_attributes(timer), ensure_ascii=False, sort_keys=True)
    return {"declared_in": environment.value, "declaration": declaration, "suspended": None}


def _attributes(timer: Timer) -> dict[str, Any]:
    """A declaration as a JSON object, by attribute; its anchor is 1970, as the store sets another one."""
    trigger = timer.trigger.anchored(EPOCH)
    columns = timer_columns(timer)
    for name in ("name", "environment", "trigger_kind", "trigger"):
        del columns[name]
    return {"trigger": {"kind": trigger.stored()[0], **trigger.as_json()}, **columns}


#: The values of attributes that a declaration of an older version lacks.
_DEFAULTS = _attributes(Timer(name="t", function="f", trigger=Every(1)))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name, value in now.items() if before.get(name, _DEFAULTS[name]) != value]


def _change_text(name: str, before: Any, now: Any) -> str:
    return name if name in _SECRET else f"{name} {before} → {now}"
