"""Adds a portion of runs to the tables of the digest. A run is added to the sums once, when it is settled."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple

from sqlalchemy import select

from ...core.run import Outcome
from ...store.schema import runs
from .file import FAILURES, OUTCOMES

#: The columns of the store that are read.
COLUMNS = select(
    runs.c.id,
    runs.c.timer,
    runs.c.environment,
    runs.c.fire_at,
    runs.c["count"],
    runs.c.outcome,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.claimed_at,
    runs.c.request_id,
)
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
#: How many timers a ranking has.
RANKED = 10
#: The number of classes of a spread: durations below 1 ms, below 2, 4, 8 … and from 2^22 ms on.
BUCKETS = 24
_NUMBERS = {outcome: number for number, outcome in enumerate(OUTCOMES)}
#: Rows with these outcomes may count further fire times.
MAY_COUNT = frozenset({Outcome.SHORT_CIRCUITED, Outcome.MISFIRED, Outcome.SKIPPED_OVERLAP})


class RunRow(NamedTuple):
    """A row of COLUMNS."""

    id: int
    timer: str
    environment: str
    fire_at: int
    fires: int
    outcome: str | None
    started_at: int | None
    ended_at: int | None
    claimed_at: int
    request_id: str

    @property
    def took_ms(self) -> int | None:
        """Its duration."""
        return None if self.started_at is None or self.ended_at is None else (self.ended_at - self.started_at) // 1000

    @property
    def late_ms(self) -> int | None:
        """Its lateness."""
        return None if self.started_at is None else (self.started_at - self.fire_at) // 1000


def add(digest: sqlite3.Connection, rows: Sequence[RunRow], counting: frozenset[int]) -> None:
    """Add runs that the digest has not settled; those that are open or in `counting` are kept apart as unsettled."""
    timers = _timer_ids(digest, {(row.environment, row.timer) for row in rows})
    settled: list[RunRow] = []
    unsettled: list[RunRow] = []
    for row in rows:
        (unsettled if row.outcome is None or row.id in counting else settled).append(row)
    _insert(digest, "path", settled, timers)
    _insert(digest, "unsettled", unsettled, timers)
    digest.executemany("DELETE FROM unsettled WHERE run_id = ?", [(row.id,) for row in settled])
    _add_to_tally(digest, settled)
    _add_to_spread(digest, settled)
    _add_to_days(digest, settled, timers)


def _timer_ids(digest: sqlite3.Connection, keys: set[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    digest.executemany("INSERT OR IGNORE INTO timers (environment, name) VALUES (?, ?)", sorted(keys))
    query = "SELECT id FROM timers WHERE environment = ? AND name = ?"
    return {key: digest.execute(query, key).fetchone()[0] for key in keys}


def _insert(
    digest: sqlite3.Connection, table: str, rows: Iterable[RunRow], timers: Mapping[tuple[str, str], int]
) -> None:
    digest.executemany(
        f"INSERT OR REPLACE INTO {table} (run_id, timer, fire_at, outcome, count, took_ms, late_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.id,
                timers[row.environment, row.timer],
                row.fire_at,
                None if row.outcome is None else _NUMBERS[Outcome(row.outcome)],
                row.fires,
                row.took_ms,
                row.late_ms,
            )
            for row in rows
        ],
    )


def _add_to_tally(digest: sqlite3.Connection, settled: Iterable[RunRow]) -> None:
    fires: Counter[tuple[int, str, int]] = Counter()
    for row in settled:
        assert row.outcome is not None
        fires[row.fire_at // HOUR_US, row.environment, _NUMBERS[Outcome(row.outcome)]] += row.fires
    digest.executemany(
        "INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET fires = fires + excluded.fires",
        [(*key, count) for key, count in fires.items()],
    )


def _add_to_spread(digest: sqlite3.Connection, settled: Iterable[RunRow]) -> None:
    spread: Counter[tuple[int, str, str, int]] = Counter()
    for row in settled:
        for measure, value in (("took", row.took_ms), ("late", row.late_ms)):
            if value is not None:
                spread[row.fire_at // HOUR_US, row.environment, measure, bucket_of(value)] += 1
    digest.executemany(
        "INSERT INTO spread VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET runs = runs + excluded.runs",
        [(*key, count) for key, count in spread.items()],
    )


def bucket_of(milliseconds: int) -> int:
    """The class of a duration.

    >>> bucket_of(0), bucket_of(1), bucket_of(1000), bucket_of(10**12)
    (0, 1, 10, 23)
    """
    return min(max(milliseconds, 0).bit_length(), BUCKETS - 1)


def _add_to_days(digest: sqlite3.Connection, settled: Iterable[RunRow], timers: Mapping[tuple[str, str], int]) -> None:
    failures: Counter[tuple[int, int]] = Counter()
    tops: defaultdict[_DayKey, dict[int, int]] = defaultdict(dict)
    for row in settled:
        day, timer = row.fire_at // DAY_US, timers[row.environment, row.timer]
        if row.outcome in FAILURES:
            failures[day, timer] += row.fires
        for measure, ms in (("took", row.took_ms), ("late", row.late_ms)):
            if ms is not None and ms > 0:
                highest = tops[day, row.environment, measure]
                highest[timer] = max(ms, highest.get(timer, 0))
    digest.executemany(
        "INSERT INTO failures VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET fires = fires + excluded.fires",
        [(*key, fires) for key, fires in failures.items()],
    )
    for key, highest in tops.items():
        _add_tops(digest, key, highest)


#: A day, an environment and a measure.
_DayKey = tuple[int, str, str]


def _add_tops(digest: sqlite3.Connection, key: _DayKey, highest: Mapping[int, int]) -> None:
    """Keep the timers with the highest values of a day; the highest of several days are among these."""
    first = nsmallest(RANKED, highest.items(), key=lambda pair: (-pair[1], pair[0]))
    digest.executemany(
        "INSERT INTO tops VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ms = max(ms, excluded.ms)",
        [(*key, timer, ms) for timer, ms in first],
    )
    its = "FROM tops WHERE day = ?1 AND environment = ?2 AND measure = ?3"
    digest.execute(
        f"DELETE {its} AND timer NOT IN (SELECT timer {its} ORDER BY ms DESC, timer LIMIT {RANKED})",
        key,
    )
