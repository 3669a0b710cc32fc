"""TimerCache: the timers that a daemon has read, so that a claim reads and parses only changed ones. Reads only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from ..core.attributes import ATTRIBUTES
from ..core.calendars import RollConvention, on_working_days
from ..core.fire_times import FireTimes
from ..core.jitter import offset_s, shifted
from ..core.misfire import GRACE, MisfirePolicy
from ..core.overlap import OverlapPolicy
from ..core.timestamps import instant_or_none
from ..core.trigger_kinds import UnreadableTrigger, read_trigger
from ..core.window import windowed
from ..store.calendar_content import content_of
from ..store.rows import RunColumns
from ..store.schema import timers
from ..store.statements import Among

#: The most timers in the cache, which is emptied then, so that removed timers do not stay for ever.
MAX_TIMERS = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """The attributes that decide which fire times a timer has and which of them run; equal rules share one object."""

    schedule: FireTimes
    misfire: MisfirePolicy
    overlap: OverlapPolicy
    max_concurrent: int = 0
    #: None for the daemon's own grace.
    grace: timedelta | None = None
    #: Up to when a missed fire time runs; None = no limit.
    catch_up: timedelta | None = None
    #: Why this process cannot read the trigger, and so does not fire the timer; None if it can.
    fault: str | None = None


class CachedTimer(NamedTuple):
    """The values of a timer that a claim needs."""

    revision: int
    run_columns: RunColumns
    params: str
    limit_s: float
    rule: Rule


class TimerCache:
    """Timers by id, read once for each revision.

    `on_unreadable(timer name, environment, reason)` is called for the first timer with each reason.
    """

    def __init__(self, on_unreadable: Callable[[str, str, str], None]) -> None:
        self._timers: dict[int, CachedTimer] = {}
        self._rules: dict[Hashable, Rule] = {}
        #: The ping addresses of the timers that have one, by id.
        self.ping_urls: dict[int, str] = {}
        #: The timers whose triggers cannot be read here, as id:revision.
        self.unreadable: set[str] = set()
        self._on_unreadable = on_unreadable
        self._reasons: set[str] = set()

    def get(self, timer_id: int | None) -> CachedTimer | None:
        """A timer as of its last read; None if it was not read."""
        return None if timer_id is None else self._timers.get(timer_id)

    def read(self, connection: Connection, wanted: Collection[Any]) -> Mapping[int, CachedTimer]:
        """Timers by id, including the wanted ones, which are rows that begin with id and revision."""
        cached = self._timers
        stale = [row[0] for row in wanted if (timer := cached.get(row[0])) is None or timer.revision != row[1]]
        if not stale:
            return cached
        if max(len(cached), len(self._rules)) + len(stale) > MAX_TIMERS:
            cached.clear()
            self._rules.clear()
            self.unreadable.clear()
            self.ping_urls.clear()
            stale = [row[0] for row in wanted]
        for row in _TIMERS.rows(connection, stale):
            timer = cached[row[0]] = self._timer(row, connection)
            if (fault := timer.rule.fault) is not None:
                self._leave_alone(row, timer, fault)
        return cached

    def _timer(self, row: Sequence[Any], connection: Connection) -> CachedTimer:
        timer_id, revision, name, function, environment, params, limit_s, jitter_s, ping_url = row[:_RULE_AT]
        self.note_ping_url(timer_id, ping_url)
        later_s = offset_s(environment, name, jitter_s)
        rule = self._rules.get((later_s, *row[_RULE_AT:])) or self._rule(later_s, row[_RULE_AT:], connection)
        # Many timers call the same function with the same parameters, so they share the strings.
        function, environment, params = map(sys.intern, (function, environment, params))
        return CachedTimer(revision, (timer_id, name, function, environment), params, limit_s, rule)

    def note_ping_url(self, timer_id: int, ping_url: str | None) -> None:
        """Take note of the ping address of a timer that was read."""
        if ping_url is not None:
            self.ping_urls[timer_id] = ping_url
        elif self.ping_urls:
            self.ping_urls.pop(timer_id, None)

    def _rule(self, later_s: int, values: Sequence[Any], connection: Connection) -> Rule:
        kind, text, *policies = values
        named = dict(zip(_RULE, policies, strict=True))
        trigger = read_trigger(kind, text)
        fires: FireTimes = trigger
        fault = trigger.reason if isinstance(trigger, UnreadableTrigger) else None
        if (calendar := named["calendar"]) is not None:
            found = content_of(connection, calendar, named["calendar_digest"])
            fires = on_working_days(trigger, calendar, RollConvention(named["roll"]), found)
            fault = fault or (None if found else f"there is no calendar {calendar!r} in the store")
        rule = Rule(
            windowed(shifted(fires, later_s), instant_or_none(named["starts_at"]), instant_or_none(named["ends_at"])),
            MisfirePolicy(named["misfire"]),
            OverlapPolicy(named["overlap"]),
            named["max_concurrent"],
            None if named["grace_s"] == GRACE.total_seconds() else timedelta(seconds=named["grace_s"]),
            timedelta(seconds=named["catch_up_s"]) if named["catch_up_s"] else None,
            fault,
        )
        # A trigger's text may be unique, but all rules share these few words.
        words = [sys.intern(value) if isinstance(value, str) else value for value in policies]
        self._rules[later_s, sys.intern(kind), text, *words] = rule
        return rule

    def _leave_alone(self, row: Sequence[Any], timer: CachedTimer, reason: str) -> None:
        self.unreadable.add(f"{row[0]}:{row[1]}")
        if reason not in self._reasons:
            self._reasons.add(reason)
            _, name, _, environment = timer.run_columns
            self._on_unreadable(name, environment, reason)


#: The attributes in a rule, besides the trigger; the jitter is in it as the seconds by which it shifts the trigger.
_RULE = (
    *(attribute.name for attribute in ATTRIBUTES if attribute.is_rule and attribute.name != "jitter_s"),
    "calendar_digest",
)
_COLUMNS = ("id", "revision", "name", "function", "environment", "params", "limit_s", "jitter_s", "ping_url")
#: The index in a row at which the rule begins.
_RULE_AT = len(_COLUMNS)
_TIMERS = Among(select(*(timers.c[name] for name in (*_COLUMNS, "trigger_kind", "trigger", *_RULE))), timers.c.id)
