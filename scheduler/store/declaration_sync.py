"""Synchronizes the store with the timers that functions declare with @engine.timer.

The store keeps the last declaration, so that a changed declaration is distinguished from a manual edit:

    declaration         timer in the store
    new                 none of that name: it is added, disabled unless declared with `enabled=True`
                        one of that name: it stays as it is, and is a declared timer from then on
    unchanged           stays as it is; manual edits survive restarts
    changed             gets the attributes whose declaration changed; the others stay
    gone                is disabled, never removed; if it was enabled, a later declaration enables it again
    wrong               stays as it is, or is not added; the others are synchronized all the same
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, or_, select, tuple_, update

from ..core.attributes import ATTRIBUTES
from ..core.timer import Environment, Timer
from ..core.timer_values import timer_columns
from ..core.timestamps import EPOCH
from ..core.triggers import Every
from ..errors import TimerError
from ..functions.declarations import DeclarationFault, Declared, DeclaredTimer
from .chains import check_declared_chain
from .change_recording import MAX_AUTHOR_LENGTH, Author, Way, record_changes
from .claimed_fires import claimed_by_name
from .database import Store
from .entered_runs import enter_on_enable_of_new
from .pauses import hold_changed
from .quota import check_quota
from .rows import timer_of
from .schema import timers
from .stored_timer import stored_timer_of
from .timer_changes import added, edited
from .timer_edits import edited_columns, new_columns, with_calendar
from .trial_copy import copy_of_timers


class DeclarationEffect(StrEnum):
    """The effect of a declaration, or of its absence, on a timer of the store."""

    ADDED = "added"
    ALREADY_THERE = "already there"
    CHANGED = "changed"
    DISABLED = "disabled"
    RESUMED = "resumed"
    ZONE_KEPT = "zone kept"


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one timer: `timer` is as the store has it now, `details` names the attributes."""

    effect: DeclarationEffect
    timer: Timer
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        name, details = repr(self.timer.name), ", ".join(self.details)
        state = "enabled" if self.timer.enabled else "disabled"
        match self.effect:
            case DeclarationEffect.ADDED:
                return f"added the timer {name}, {state}" + (f", in {details}" if details else "")
            case DeclarationEffect.ALREADY_THERE:
                return f"the timer {name} already existed and was not changed; the declaration differs in {details}"
            case DeclarationEffect.CHANGED:
                return f"changed the timer {name}, {state}: {details}"
            case DeclarationEffect.DISABLED:
                return f"disabled the timer {name}: it is no longer declared"
            case DeclarationEffect.RESUMED:
                return f"the timer {name} is declared again, {state}" + (f": {details}" if details else "")
            case DeclarationEffect.ZONE_KEPT:
                return (
                    f"the timer {name} stays in {self.timer.trigger.tz}, as it was declared first; now it would be in "
                    f"{details}: name its zone in @engine.timer, as in tz={self.timer.trigger.tz!r}"
                )


#: Attributes whose values are not logged.
_SECRET = frozenset(attribute.name for attribute in ATTRIBUTES if attribute.is_secret)


# From timers to the store


class Synchronised(NamedTuple):
    """The changes, and the declarations that were left out, whose timers stay as they are."""

    changes: list[Change]
    faults: list[DeclarationFault]


#: Called with the timer of a declaration and why the store refuses it; collects the error, or raises it.
Refuse = Callable[[DeclaredTimer, TimerError], None]


def synchronise(
    store: Store,
    declared: Iterable[Timer | DeclaredTimer],
    environment: Environment,
    *,
    now: datetime,
    quota: int | None = None,
) -> list[Change]:
    """Synchronize the store with the timers that the functions of `environment` declare; returns the changes.

    It is one transaction, which waits for that of any other caller, so daemons may start at the same time. Raises
    TimerQuotaError if an environment would hold more than `quota` timers (0 = no limit, None = that of the rules in
    force), and TimerError if one never fires again; then nothing is changed.
    """

    def refuse(_: DeclaredTimer, error: TimerError) -> None:
        raise error

    wanted = [entry if isinstance(entry, DeclaredTimer) else DeclaredTimer(entry) for entry in declared]
    with store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        return _synchronise(connection, Declared(wanted, []), environment, now, quota, refuse)


def synchronise_valid(
    store: Store, declared: Declared, environment: Environment, *, now: datetime, quota: int | None
) -> Synchronised:
    """The same, but an invalid declaration, or one that exceeds the quota, is left out and does not stop the others."""
    faults = list(declared.faults)
    with store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        changes = _synchronise(connection, declared, environment, now, quota, _collecting(faults))
    return Synchronised(changes, faults)


def declaration_faults(
    store: Store, declared: Declared, environment: Environment, *, now: datetime, quota: int | None
) -> list[DeclarationFault]:
    """The declarations that `synchronise_valid` would leave out; changes nothing, and does not lock the store."""
    faults = list(declared.faults)
    with copy_of_timers(store) as connection:
        _synchronise(connection, declared, environment, now, quota, _collecting(faults))
    return faults


def _collecting(faults: list[DeclarationFault]) -> Refuse:
    return lambda declared, error: faults.append(DeclarationFault.of(declared, str(error)))


def _synchronise(
    connection: Connection,
    declared: Declared,
    environment: Environment,
    now: datetime,
    quota: int | None,
    refuse: Refuse,
) -> list[Change]:
    wanted = {(entry.timer.environment.value, entry.timer.name): entry for entry in declared.timers}
    rows = _lock_rows(connection, wanted, environment)
    present = {(row.environment, row.name) for row in rows}
    changes: list[Change] = []
    # Timers that are no longer declared go first, so that a renamed function does not exceed the quota.
    for row in rows:
        if (row.environment, row.name) not in wanted and not _may_be_faulty(row, declared.faults):
            changes += _suspend(connection, row, now)
    new = [entry for key, entry in wanted.items() if key not in present]
    new_timers = _add(connection, new, environment, now, quota, refuse, names=wanted.keys())
    for row in rows:
        if entry := wanted.get((row.environment, row.name)):
            try:
                changes += _apply(connection, row, entry, environment, now, names=wanted.keys())
            except TimerError as error:
                refuse(entry, error)
    hold_changed(connection)
    return [*new_timers, *changes]


def _may_be_faulty(row: Row[Any], faults: Iterable[DeclarationFault]) -> bool:
    """Whether a timer without a declaration may be one with an invalid declaration, which stays as it is."""
    return any((row.environment, row.name) == (fault.environment, fault.name) for fault in faults) or any(
        row.function == fault.function for fault in faults
    )


def _add(
    connection: Connection,
    new: Sequence[DeclaredTimer],
    environment: Environment,
    now: datetime,
    quota: int | None,
    refuse: Refuse,
    *,
    names: Collection[tuple[str, str]],
) -> list[Change]:
    """Add the timers of new declarations; `names` are those of all declared timers."""
    changes = []
    claimed = claimed_by_name(connection, now) if new else {}
    for entry in new:
        try:
            check_declared_chain(connection, entry.timer, names)
            row = new_columns(with_calendar(connection, entry.timer), now, claimed) | _declared(
                entry.timer, environment
            )
            check_quota(connection, [entry.timer], quota)
        except TimerError as error:
            refuse(entry, error)
            continue
        connection.execute(insert(timers), row)
        enter_on_enable_of_new(connection, [entry.timer], now)
        record_changes(connection, [added(entry.timer.anchored(now))], _author(entry), now=now)
        changes.append(Change(DeclarationEffect.ADDED, entry.timer, (str(entry.assumed),) if entry.assumed else ()))
    return changes


def _lock_rows(connection: Connection, keys: Iterable[tuple[str, str]], environment: Environment) -> Sequence[Row[Any]]:
    """Lock and return the rows of timers that are or were declared, in the order of their ids (claims/leases.py)."""
    named = tuple_(timers.c.environment, timers.c.name).in_(list(keys))
    query = select(timers).where(or_(named, timers.c.declared_in == environment)).order_by(timers.c.id)
    return connection.execute(query.with_for_update(key_share=True)).all()


def _suspend(connection: Connection, row: Row[Any], now: datetime) -> list[Change]:
    """Disable a timer that is no longer declared."""
    if row.suspended is not None:
        return []
    suspended = {"suspended": row.enabled, "enabled": False, "next_fire_at": None}
    _write(connection, row, suspended, Author("@engine.timer", Way.DECLARATION, "it is no longer declared"), now)
    return (
        [Change(DeclarationEffect.DISABLED, replace(timer_of(row, connection), enabled=False))] if row.enabled else []
    )


def _apply(
    connection: Connection,
    row: Row[Any],
    entry: DeclaredTimer,
    environment: Environment,
    now: datetime,
    *,
    names: Collection[tuple[str, str]],
) -> list[Change]:
    """Write the changes of a declaration to a timer of the store."""
    stored = timer_of(row, connection)
    if row.declaration is None:
        timer = entry.timer
        _write(connection, row, _declared(timer, environment), _author(entry), now)
        differing = tuple(name for name in _differing(_attributes(stored), _attributes(timer)) if name != "enabled")
        return [Change(DeclarationEffect.ALREADY_THERE, stored, differing)] if differing else []
    timer = _in_its_zone(row, entry)
    declared = _declared(timer, environment)
    kept_zone = [] if timer is entry.timer else [Change(DeclarationEffect.ZONE_KEPT, timer, (str(entry.assumed),))]
    changes = _changes(row, stored, timer)
    if "then" in changes:
        check_declared_chain(connection, timer, names)
    if changes or row.declaration != declared["declaration"] or row.suspended is not None:
        columns = edited_columns(connection, stored_timer_of(row, connection), changes, now) if changes else {}
        _write(connection, row, declared | columns, _author(entry), now)
    details = tuple(
        _change_text(name, getattr(stored, name), value) for name, value in changes.items() if name != "enabled"
    )
    if row.suspended is not None:
        return [Change(DeclarationEffect.RESUMED, replace(stored, **changes), details), *kept_zone]
    return [*([Change(DeclarationEffect.CHANGED, replace(stored, **changes), details)] if changes else []), *kept_zone]


def _in_its_zone(row: Row[Any], entry: DeclaredTimer) -> Timer:
    """The declared timer; if its zone is only assumed from this machine, it keeps the zone that the store has.

    So a store that is moved to another machine, or was written by a version that assumed another zone, fires as before.
    """
    timer = entry.timer
    tz = json.loads(row.declaration).get("trigger", {}).get("tz")
    if entry.assumed is None or not entry.assumed.is_of_machine or not tz or tz == timer.trigger.tz:
        return timer
    trigger = timer.trigger
    return replace(timer, trigger=type(trigger).from_options({**trigger.option_values(), "tz": tz}))


def _changes(row: Row[Any], stored: Timer, timer: Timer) -> dict[str, Any]:
    """The attributes whose declaration changed and whose values the timer does not have yet."""
    has, wanted = _attributes(stored), _attributes(timer)
    redeclared = _differing(json.loads(row.declaration), wanted)
    changes = {name: getattr(timer, name) for name in redeclared if has[name] != wanted[name]}
    if row.suspended and "enabled" not in redeclared and not stored.enabled:
        changes["enabled"] = True
    return changes


def _write(connection: Connection, row: Row[Any], values: Mapping[str, Any], by: Author, now: datetime) -> None:
    revised = {**values, "revision": timers.c.revision + 1}
    connection.execute(update(timers).where(timers.c.id == row.id).values(revised))
    written = connection.execute(select(timers).where(timers.c.id == row.id)).one()
    record_changes(
        connection, edited(stored_timer_of(row, connection), stored_timer_of(written, connection)), by, now=now
    )


def _author(entry: DeclaredTimer) -> Author:
    """The place of a declaration, which changes a timer in the store."""
    return Author(entry.place[-MAX_AUTHOR_LENGTH:] or "@engine.timer", Way.DECLARATION)


def _declared(timer: Timer, environment: Environment) -> dict[str, Any]:
    """The columns that hold the declaration of a timer."""
    declaration = json.dumps(_attributes(timer), ensure_ascii=False, sort_keys=True)
    return {"declared_in": environment.value, "declaration": declaration, "suspended": None}


def _attributes(timer: Timer) -> dict[str, Any]:
    """A declaration as a JSON object, by attribute; its anchor is 1970, because the store sets the real one."""
    trigger = timer.trigger.anchored(EPOCH)
    columns = timer_columns(timer)
    for name in ("name", "environment", "trigger_kind", "trigger", "calendar_digest"):
        del columns[name]
    return {"trigger": {"kind": trigger.stored()[0], **trigger.as_json()}, **columns}


#: The values of attributes that a declaration of an older version lacks.
_DEFAULTS = _attributes(Timer(name="t", function="f", trigger=Every(1)))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name, value in now.items() if before.get(name, _DEFAULTS[name]) != value]


def _change_text(name: str, before: Any, now: Any) -> str:
    return name if name in _SECRET else f"{name} {before} → {now}"
