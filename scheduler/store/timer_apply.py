"""apply_timers: makes the timers of the store equal to a list, all or nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from ..core.attributes import ATTRIBUTES, Attribute, as_kept
from ..core.timer import Environment, Timer
from ..core.timestamps import EPOCH
from ..errors import error_of
from .chains import check_chains
from .change_recording import Author, NewChange
from .database import Store
from .quota import check_quota
from .stored_timer import StoredTimer
from .timer_edits import PlannedEdit
from .timer_plan import FEW, TimerPlan, carry_out, check_not_repeated


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

    Raises RepeatedTimerError for a list that has a name twice, TimerQuotaError, and TimerError for a timer that never
    fires again.
    """
    listed = [entry if isinstance(entry, WantedTimer) else WantedTimer(entry) for entry in wanted]
    check_not_repeated([entry.timer for entry in listed])
    plan, pruned = TimerPlan(now, by), {Environment(environment) for environment in prune}

    def compute(connection: Connection) -> Applied:
        applied = _apply(connection, plan, listed, pruned, quota)
        chained = [each.timer for each in applied.differences if _changes_chain(each)]
        check_chains(connection, chained, plan.after(), among=len(listed))
        return applied

    return carry_out(store, plan, compute, plans_first=bool(pruned) or len(listed) > FEW, dry_run=dry_run)


def _changes_chain(difference: Difference) -> bool:
    """Whether a difference may close a circle of timers, or name an unknown one."""
    after = difference.change.after or {}
    return difference.effect is ListEffect.ADDED or "then" in after


def _apply(
    connection: Connection,
    plan: TimerPlan,
    listed: Sequence[WantedTimer],
    pruned: Collection[Environment],
    quota: int | None,
) -> Applied:
    rows = {(row.environment, row.name): row for row in _rows(plan, listed, pruned)}
    named = {(entry.timer.environment.value, entry.timer.name) for entry in listed}
    lacking = [row for key, row in rows.items() if key not in named and row.environment in pruned]
    declared = [row for row in lacking if row.declared_in is not None and row.suspended is None]
    # Removed timers make room for added ones.
    gone = [plan.remove(row) for row in lacking if row not in declared]
    new = [entry.timer for entry in listed if (entry.timer.environment, entry.timer.name) not in rows]
    check_quota(connection, new, quota, [removed.stored for removed in gone])
    differences = [Difference(ListEffect.REMOVED, removed.stored.timer, removed.change) for removed in gone]
    for timer in new:
        with error_of(timer.name, timer.environment, among=len(listed)):
            differences.append(Difference(ListEffect.ADDED, timer, plan.add(timer).change))
    changed: list[Difference] = []
    for entry in listed:
        kept = rows.get((entry.timer.environment, entry.timer.name))
        if kept is not None:
            with error_of(entry.timer.name, entry.timer.environment, among=len(listed)):
                changed += _changed(plan, kept, entry)
    unchanged = len(listed) - len(new) - len(changed)
    return Applied((*differences, *changed), unchanged, tuple(plan.stored(row).timer for row in declared))


def _rows(plan: TimerPlan, listed: Sequence[WantedTimer], pruned: Collection[Environment]) -> Sequence[Row[Any]]:
    """The timers that the list names, and those of the environments that it prunes, in the order of their ids."""
    if not pruned:
        return plan.named(entry.timer.name for entry in listed)
    return plan.of_environments({*(entry.timer.environment.value for entry in listed), *pruned})


def _changed(plan: TimerPlan, row: Row[Any], entry: WantedTimer) -> list[Difference]:
    def how(stored: StoredTimer) -> PlannedEdit | None:
        changes = _changes(stored.timer, entry)
        return plan.change(stored, changes) if changes else None

    enables = entry.names_state and entry.timer.enabled and not row.enabled
    edit = plan.edit(row, how, frees=enables)
    return [] if edit is None else [Difference(ListEffect.CHANGED, edit.after.timer, each) for each in edit.changes]


def _changes(kept: Timer, entry: WantedTimer) -> Mapping[str, Any]:
    """The attributes in which a timer differs from the list's."""
    wanted = entry.timer if entry.names_state else replace(entry.timer, enabled=kept.enabled)
    changes = {row.name: getattr(wanted, row.name) for row in ATTRIBUTES if _differs(row, wanted, kept)}
    # An interval without an anchor in the list keeps its present anchor.
    if wanted.trigger.anchored(EPOCH) != kept.trigger.anchored(EPOCH):
        changes["trigger"] = wanted.trigger
    return changes


def _differs(attribute: Attribute, one: Timer, other: Timer) -> bool:
    """Whether two timers differ in an attribute after a round trip through the store."""
    is_same = getattr(one, attribute.name) == getattr(other, attribute.name) and attribute.to_store is as_kept
    return not is_same and _kept_as(attribute, one) != _kept_as(attribute, other)


def _kept_as(attribute: Attribute, timer: Timer) -> Any:
    """The value of an attribute after a round trip through the store."""
    return attribute.from_store(attribute.to_store(getattr(timer, attribute.name)))
