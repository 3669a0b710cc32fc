"""apply_timers: makes the timers of the store equal to a list, all or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from ..core.attributes import ATTRIBUTES, Attribute
from ..core.timer import Environment, Timer
from ..core.timestamps import EPOCH
from ..errors import DuplicateTimerError
from .chains import check_chains
from .change_recording import Author, NewChange, record_changes
from .claimed_fires import claimed_by_name
from .database import Store
from .entered_runs import enter_on_enable_of_new
from .pauses import delete_pause_of, hold_changed
from .quota import check_quota
from .schema import timers
from .stored_timer import StoredTimer, stored_timer_of
from .timer_changes import added, edited, removed
from .timer_edits import delete_timer, edited_columns, new_columns, with_calendar


class WantedTimer(NamedTuple):
    """A timer of a list; `names_state` if the list says whether it is enabled, otherwise that is kept."""

    timer: Timer
    names_state: bool = True


class ListEffect(StrEnum):
    """The effect of the list on a timer."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Difference:
    """A timer that the list changes: its new state, and the change to record."""

    effect: ListEffect
    timer: Timer
    change: NewChange


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of applying a list; `unchanged` timers equal the list already.

    `declared` timers are not in the list, but stay because functions declare them.
    """

    differences: tuple[Difference, ...]
    unchanged: int
    declared: tuple[Timer, ...] = ()


def apply_timers(
    store: Store,
    wanted: Iterable[Timer | WantedTimer],
    *,
    prune: Collection[Environment] = (),
    now: datetime,
    quota: int | None = None,
    by: Author | None = None,
    dry_run: bool = False,
) -> Applied:
    """Make the timers of the store equal to a list: all of them, or none if one is refused.

    A timer of the list is added, or edited if it differs, which closes its breaker; an unchanged interval keeps its
    anchor. A timer that the list lacks is removed if its environment is in `prune`, unless its function declares it.
    With `dry_run` nothing is changed.

    Raises DuplicateTimerError for a list that has a name twice, TimerQuotaError, and TimerError for a timer that never
    fires again.
    """
    listed = [entry if isinstance(entry, WantedTimer) else WantedTimer(entry) for entry in wanted]
    _check_names(listed)
    with store.trial() if dry_run else store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        applied = _apply(connection, listed, prune, now, quota)
        check_chains(connection, [each.timer for each in applied.differences if _changes_chain(each)])
        hold_changed(connection)
        record_changes(connection, [each.change for each in applied.differences], by, now=now)
    return applied


def _changes_chain(difference: Difference) -> bool:
    """Whether a difference may close a circle of timers, or name an unknown one."""
    after = difference.change.after or {}
    return difference.effect is ListEffect.ADDED or "then" in after


def _check_names(listed: Sequence[WantedTimer]) -> None:
    seen = set()
    for timer, _ in listed:
        if (timer.environment, timer.name) in seen:
            raise DuplicateTimerError(timer.name, timer.environment)
        seen.add((timer.environment, timer.name))


def _apply(
    connection: Connection,
    listed: Sequence[WantedTimer],
    prune: Collection[Environment],
    now: datetime,
    quota: int | None,
) -> Applied:
    environments = {*(str(entry.timer.environment) for entry in listed), *map(str, prune)}
    stored = _locked(connection, environments)
    named = {(entry.timer.environment, entry.timer.name) for entry in listed}
    lacking = [entry for key, entry in stored.items() if key not in named and entry.timer.environment in set(prune)]
    declared = [entry for entry in lacking if entry.declared_in is not None and not entry.has_vanished]
    # Removed timers make room for added ones.
    differences = [_removed(connection, entry) for entry in lacking if entry not in declared]
    new = [entry.timer for entry in listed if (entry.timer.environment, entry.timer.name) not in stored]
    differences += _added(connection, new, now, quota)
    changed = []
    for entry in listed:
        kept = stored.get((entry.timer.environment, entry.timer.name))
        if kept is not None:
            changed += _changed(connection, kept, entry, now)
    unchanged = len(listed) - len(new) - len(changed)
    return Applied((*differences, *changed), unchanged, tuple(entry.timer for entry in declared))


def _locked(connection: Connection, environments: Collection[str]) -> dict[tuple[Environment, str], StoredTimer]:
    """Lock and return the timers of these environments by environment and name, in the order of their ids."""
    query = select(timers).where(timers.c.environment.in_(environments)).order_by(timers.c.id)
    rows = connection.execute(query.with_for_update(key_share=True)).all()
    entries = [stored_timer_of(row, connection) for row in rows]
    return {(entry.timer.environment, entry.timer.name): entry for entry in entries}


def _removed(connection: Connection, entry: StoredTimer) -> Difference:
    delete_timer(connection, entry.id)
    return Difference(ListEffect.REMOVED, entry.timer, removed(entry.timer))


def _added(connection: Connection, new: Sequence[Timer], now: datetime, quota: int | None) -> list[Difference]:
    if not new:
        return []
    check_quota(connection, new, quota)
    claimed = claimed_by_name(connection, now)
    new = [with_calendar(connection, timer) for timer in new]
    connection.execute(insert(timers), [new_columns(timer, now, claimed) for timer in new])
    enter_on_enable_of_new(connection, new, now)
    return [Difference(ListEffect.ADDED, timer, added(timer.anchored(now))) for timer in new]


def _changed(connection: Connection, kept: StoredTimer, entry: WantedTimer, now: datetime) -> list[Difference]:
    changes = _changes(kept.timer, entry)
    if not changes:
        return []
    values = {**edited_columns(connection, kept, changes, now), "revision": timers.c.revision + 1}
    connection.execute(update(timers).where(timers.c.id == kept.id).values(values))
    if changes.get("enabled"):
        delete_pause_of(connection, kept.id)
    row = connection.execute(select(timers).where(timers.c.id == kept.id)).one()
    written = stored_timer_of(row, connection)
    return [Difference(ListEffect.CHANGED, written.timer, change) for change in edited(kept, written)]


def _changes(kept: Timer, entry: WantedTimer) -> Mapping[str, Any]:
    """The attributes in which a timer differs from the list's."""
    wanted = entry.timer if entry.names_state else replace(entry.timer, enabled=kept.enabled)
    changes = {
        row.name: getattr(wanted, row.name) for row in ATTRIBUTES if _kept_as(row, wanted) != _kept_as(row, kept)
    }
    # An interval without an anchor in the list keeps its present anchor.
    if wanted.trigger.anchored(EPOCH) != kept.trigger.anchored(EPOCH):
        changes["trigger"] = wanted.trigger
    return changes


def _kept_as(attribute: Attribute, timer: Timer) -> Any:
    """The value of an attribute after a round trip through the store."""
    return attribute.from_store(attribute.to_store(getattr(timer, attribute.name)))
