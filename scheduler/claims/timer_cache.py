"""The timers that a daemon remembers, so that a claim need not read and parse what has not changed. Reads only."""

from __future__ import annotations

import sys
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from ..core.admission import OverlapPolicy
from ..core.misfire import MisfirePolicy
from ..core.trigger_kinds import read_trigger
from ..core.triggers import Schedule, offset_s, shifted
from ..store.schema import timers
from ..store.statements import Among

#: So many timers are remembered, then all are forgotten: those that were removed must not stay for ever.
MOST = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What says which fire times there are and which of them run; timers that agree in it share one object."""

    trigger: Schedule
    misfire: MisfirePolicy
    overlap: OverlapPolicy


class CachedTimer(NamedTuple):
    """A timer as a claim needs it; `names` are its columns in a row of the runs table."""

    revision: int
    #: timer_id, timer, function, environment
    names: tuple[int, str, str, str]
    params: str
    limit_s: float
    rule: Rule


class TimerCache:
    """Timers by id, read and parsed once for each revision."""

    def __init__(self) -> None:
        self._timers: dict[int, CachedTimer] = {}
        self._rules: dict[Hashable, Rule] = {}

    def get(self, timer_id: int | None) -> CachedTimer | None:
        """A timer that is remembered, as it was when it was last due."""
        return None if timer_id is None else self._timers.get(timer_id)

    def of(self, connection: Connection, wanted: Collection[Any]) -> Mapping[int, CachedTimer]:
        """The timers by id, among them all wanted ones, which are given as rows of id, revision, and what not."""
        remembered = self._timers
        stale = [row[0] for row in wanted if (known := remembered.get(row[0])) is None or known.revision != row[1]]
        if not stale:
            return remembered
        if max(len(remembered), len(self._rules)) + len(stale) > MOST:
            remembered.clear()
            self._rules.clear()
            stale = [row[0] for row in wanted]
        for row in _WANTED.rows(connection, stale):
            remembered[row.id] = self._known(row)
        return remembered

    def _known(self, row: Row[Any]) -> CachedTimer:
        later_s = offset_s(row.environment, row.name, row.jitter_s)
        key = row.trigger, row.trigger_kind, later_s, row.misfire, row.overlap
        rule = self._rules.get(key)
        if rule is None:
            trigger = read_trigger(row.trigger_kind, row.trigger)
            rule = Rule(shifted(trigger, later_s), MisfirePolicy(row.misfire), OverlapPolicy(row.overlap))
            self._rules[row.trigger, sys.intern(row.trigger_kind), later_s, rule.misfire, rule.overlap] = rule
        # Many timers call the same function with the same parameters: one text does for them all.
        function, environment, params = map(sys.intern, (row.function, row.environment, row.params))
        return CachedTimer(row.revision, (row.id, row.name, function, environment), params, row.limit_s, rule)


_WANTED = Among(
    select(
        timers.c.id,
        timers.c.revision,
        timers.c.name,
        timers.c.function,
        timers.c.environment,
        timers.c.params,
        timers.c.limit_s,
        timers.c.trigger_kind,
        timers.c.trigger,
        timers.c.jitter_s,
        timers.c.misfire,
        timers.c.overlap,
    ),
    timers.c.id,
)
