"""The queries of the digest, for pages. Runs that have ended but still count further fire times are in every sum."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from ...core.run import Outcome
from ...core.timestamps import EPOCH, instant, stamp
from ...store.timer_pages import TimerKey
from .file import FAILURES, OUTCOMES
from .settled import BUCKETS, DAY_US, HOUR_US, RANKED

_HOUR = timedelta(hours=1)
_FAILURES = ", ".join(str(OUTCOMES.index(outcome)) for outcome in FAILURES)
#: How many of a timer's latest runs its numbers are of.
MEASURED = 1_000


class Mark(NamedTuple):
    """One run of a timer, as drawings show it."""

    id: int
    fire_time: datetime
    outcome: Outcome | None
    fires: int
    duration_s: float | None
    lateness_s: float | None


class End(NamedTuple):
    """The end of a span: the runs with lower ids, and fire times before an instant in microseconds."""

    run_id: int = 2**63 - 1
    fire_at: int = 2**63 - 1


_NOW = End()


def latest(
    digest: sqlite3.Connection, keys: Sequence[TimerKey], *, each: int, end: End = _NOW
) -> dict[TimerKey, list[Mark]]:
    """The latest runs of each timer before the end, oldest first; also those that are open."""
    return {key: latest_of(digest, key, each, end=end) for key in keys}


def latest_of(digest: sqlite3.Connection, key: TimerKey, most: int, *, end: End = _NOW) -> list[Mark]:
    """The latest runs of one timer, oldest first."""
    timer = timer_id(digest, key)
    if timer is None:
        return []
    rows = [row for table in ("path", "unsettled") for row in _of(table, digest, timer, end, most)]
    return [_mark(row) for row in sorted(rows)[-most:]]


def latest_of_names(
    digest: sqlite3.Connection, names: Sequence[tuple[TimerKey, datetime | None]], most: int
) -> list[Mark]:
    """The latest runs of a timer under several names, each until an instant, oldest first."""
    marks = [
        mark
        for key, until in names
        for mark in latest_of(digest, key, most)
        if until is None or mark.fire_time <= until
    ]
    return sorted(marks)[-most:]


def timer_id(digest: sqlite3.Connection, key: TimerKey) -> int | None:
    """The number of a timer in the digest; None if it has not run."""
    query = "SELECT id FROM timers WHERE environment = ? AND name = ?"
    row = digest.execute(query, (str(key.environment), key.name)).fetchone()
    return None if row is None else int(row[0])


_ROW = "run_id, fire_at, outcome, count, took_ms, late_ms"


def _of(table: str, digest: sqlite3.Connection, timer: int, end: End, most: int) -> list[tuple[int, ...]]:
    query = f"SELECT {_ROW} FROM {table} WHERE timer = ? AND run_id < ? AND fire_at < ? ORDER BY run_id DESC LIMIT ?"
    return digest.execute(query, (timer, *end, most)).fetchall()


def _mark(row: Sequence[int | None]) -> Mark:
    run_id, fire_at, outcome, count, took_ms, late_ms = row
    assert run_id is not None
    assert fire_at is not None
    return Mark(
        run_id,
        instant(fire_at),
        None if outcome is None else OUTCOMES[outcome],
        count or 1,
        None if took_ms is None else took_ms / 1000,
        None if late_ms is None else late_ms / 1000,
    )


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of the latest runs of a timer; durations are None where nothing was executed."""

    runs: int
    fires: int
    outcomes: Mapping[Outcome, int]
    took_p50_s: float | None
    took_p95_s: float | None
    late_p50_s: float | None
    late_p95_s: float | None


def numbers_of(marks: Sequence[Mark]) -> Numbers:
    """The numbers of these runs."""
    outcomes: Counter[Outcome] = Counter()
    for mark in marks:
        if mark.outcome is not None:
            outcomes[mark.outcome] += mark.fires
    took = sorted(mark.duration_s for mark in marks if mark.duration_s is not None)
    late = sorted(max(mark.lateness_s, 0.0) for mark in marks if mark.lateness_s is not None)
    fires = sum(mark.fires for mark in marks)
    return Numbers(
        len(marks),
        fires,
        dict(outcomes.most_common()),
        _rank(took, 50),
        _rank(took, 95),
        _rank(late, 50),
        _rank(late, 95),
    )


def _rank(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else None


# Sums over all timers


class Hour(NamedTuple):
    """The fires of one hour, by outcome."""

    start: datetime
    fires: Mapping[Outcome, int]


def hours(
    digest: sqlite3.Connection, since: datetime, until: datetime, *, environment: str | None = None
) -> list[Hour]:
    """The hours of a span, from the one that contains `since` to the one before `until`, also those without a fire."""
    first, last = stamp(since) // HOUR_US, -(-stamp(until) // HOUR_US)
    fires: dict[int, Counter[Outcome]] = {hour: Counter() for hour in range(first, last)}
    where = "" if environment is None else " AND environment = :environment"
    values = {"first": first, "last": last, "environment": environment}
    rows = digest.execute(
        f"SELECT hour, outcome, fires FROM tally WHERE hour >= :first AND hour < :last{where}"
        " UNION ALL "
        f"SELECT fire_at / {HOUR_US}, outcome, count FROM unsettled JOIN timers ON timers.id = unsettled.timer"
        f" WHERE outcome IS NOT NULL AND fire_at / {HOUR_US} >= :first AND fire_at / {HOUR_US} < :last{where}",
        values,
    )
    for hour, outcome, count in rows:
        fires[hour][OUTCOMES[outcome]] += count
    return [Hour(EPOCH + hour * _HOUR, found) for hour, found in fires.items()]


class Failing(NamedTuple):
    """The latest failures of one timer: how many there are among those that were read, and the last one."""

    environment: str
    timer: str
    failures: int
    last_run_id: int
    last_fire_time: datetime
    outcome: Outcome


def went_wrong(digest: sqlite3.Connection, *, since: datetime, most: int, read: int = 500) -> list[Failing]:
    """The timers with the latest failures, the latest first, among the `read` latest failures of all."""
    rows = digest.execute(
        "SELECT environment, name, run_id, fire_at, outcome FROM path JOIN timers ON timers.id = path.timer"
        f" WHERE outcome IN ({_FAILURES}) ORDER BY run_id DESC LIMIT ?",
        (read,),
    )
    found: dict[tuple[str, str], Failing] = {}
    for environment, name, run_id, fire_at, outcome in rows:
        if fire_at < stamp(since):
            continue
        known = found.get((environment, name))
        if known is None:
            found[environment, name] = Failing(environment, name, 1, run_id, instant(fire_at), OUTCOMES[outcome])
        else:
            found[environment, name] = known._replace(failures=known.failures + 1)
    return list(found.values())[:most]


@dataclass(frozen=True, slots=True)
class Spread:
    """How many runs had a duration of each class, and the percentiles; the classes are powers of two milliseconds."""

    runs: Sequence[int]

    def percentile_s(self, percent: float) -> float | None:
        """The duration that this percentage of the runs does not exceed, exact to a factor of the root of two."""
        wanted, seen = sum(self.runs) * percent / 100, 0
        if not wanted:
            return None
        for bucket, count in enumerate(self.runs):
            seen += count
            if seen >= wanted:
                return 0.0005 if bucket == 0 else 2 ** (bucket - 0.5) / 1000
        return None


def spread(
    digest: sqlite3.Connection, measure: str, since: datetime, until: datetime, *, environment: str | None = None
) -> Spread:
    """The spread of `took` or `late` over the hours of a span."""
    where = "" if environment is None else " AND environment = :environment"
    rows = digest.execute(
        "SELECT bucket, sum(runs) FROM spread WHERE hour >= :first AND hour < :last AND measure = :measure"
        f"{where} GROUP BY bucket",
        {
            "first": stamp(since) // HOUR_US,
            "last": -(-stamp(until) // HOUR_US),
            "measure": measure,
            "environment": environment,
        },
    )
    runs = [0] * BUCKETS
    for bucket, count in rows:
        runs[bucket] = count
    return Spread(runs)


class Ranked(NamedTuple):
    """A timer in a ranking, and its number there."""

    environment: str
    timer: str
    value: int


class Rankings(NamedTuple):
    """The timers that fail most, with their failures, and those with the longest and latest runs, in milliseconds."""

    failures: list[Ranked]
    longest: list[Ranked]
    latest: list[Ranked]


def rankings(
    digest: sqlite3.Connection, since: datetime, until: datetime, *, environment: str | None = None
) -> Rankings:
    """The first timers of each ranking over the days of a span in UTC."""
    values = {"first": stamp(since) // DAY_US, "last": -(-stamp(until) // DAY_US), "environment": environment}
    failures = [Ranked(*row) for row in digest.execute(_MOST_FAILURES, values)]
    longest, latest = ([Ranked(*row) for row in digest.execute(_TOPS, {**values, "measure": m})] for m in _MEASURES)
    return Rankings(failures, longest, latest)


_MEASURES = ("took", "late")
_RANKED = (
    "SELECT environment, name, value FROM ({}) JOIN timers ON id = timer"
    " WHERE :environment IS NULL OR environment = :environment"
    f" ORDER BY value DESC, timer LIMIT {RANKED}"
)
_OF_DAYS = "WHERE day >= :first AND day < :last"
_MOST_FAILURES = _RANKED.format(f"SELECT timer, sum(fires) AS value FROM failures {_OF_DAYS} GROUP BY timer")
_TOPS = _RANKED.format(f"SELECT timer, max(ms) AS value FROM tops {_OF_DAYS} AND measure = :measure GROUP BY timer")


def sums_of(hours: Iterable[Hour]) -> Counter[Outcome]:
    """The fires of several hours."""
    total: Counter[Outcome] = Counter()
    for hour in hours:
        total.update(hour.fires)
    return total
