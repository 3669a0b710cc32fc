"""Several real daemons on one PostgreSQL: killed, disconnected, without a server.

Every test prints what was due, fired, doubled and lost, and asserts all four; daemon_processes.py defines these.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Delivery
from tests.scheduler.daemon_processes import DaemonGroup, Note, account, daemon_group, given_back
from tests.scheduler.fault_scale import scaled
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually, slowdown, slowed

pytestmark = pytest.mark.faults

TIMERS = 30


@pytest.fixture
def group(postgres: Server, tmp_path: Path) -> Iterator[DaemonGroup]:
    with postgres.database() as url, daemon_group(url, tmp_path) as group:
        yield group


@pytest.mark.parametrize(("count", "delivery", "attempts"), [(2, "at_most_once", 1), (3, "at_least_once", 2)])
def test_when_a_daemon_is_killed_the_others_go_on_within_a_second(
    group: DaemonGroup, count: int, delivery: str, attempts: int
) -> None:
    """During its runs; those that it has claimed run in no other, or once more where delivery is at least once."""
    group.add(TIMERS, duration=0.1, overlap=OverlapPolicy.ALLOW, delivery=Delivery(delivery))
    group.start(count)
    time.sleep(0.5 + random.random())
    victim = group.daemons[0]
    victim.kill()
    killed_at = time.time()

    def later() -> list[Note]:
        return [note for note in group.notes() if note.daemon != victim.pid and note.begun_at > killed_at]

    def open_runs() -> list[Run]:
        runs = [run for run in group.runs() if run.outcome is None]
        return [run for run in runs if run.attempt == 2 or run.claimed_at.timestamp() < killed_at]

    eventually(lambda: {note.timer for note in later()}, lambda seen: len(seen) == TIMERS)
    eventually(open_runs, lambda seen: not seen)
    end = group.end()
    result, waiting = account(group, end, attempts=attempts), given_back(group, end)
    went_on_s = min(note.begun_at for note in later()) - killed_at
    abandoned = [run for run in group.runs() if run.outcome is Outcome.ABANDONED]
    abandoned_s = max((run.ended_at.timestamp() for run in abandoned if run.ended_at), default=killed_at) - killed_at
    print(f"the others went on after {went_on_s:.3f} s; {len(abandoned)} runs were abandoned after {abandoned_s:.3f} s")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired >= result.due - result.passed_over - waiting - (len(abandoned) if attempts == 1 else 0)
    assert result.passed_over == 0 or slowdown() > 1
    assert waiting < TIMERS or slowdown() > 1
    assert went_on_s < slowed(1)
    assert abandoned_s < slowed(1.6)  # others are checked once a second, and suspects again after 0.1 s


def test_a_server_that_was_away_finds_its_daemons_waiting(group: DaemonGroup, postgres: Server) -> None:
    """They survive, log it once, fire within a second of its return, and apply the misfire policies."""
    group.add(TIMERS, duration=0.05)
    group.start(2, grace_s=1)
    postgres.stop()
    time.sleep(scaled(3, 10))
    postgres.start()
    back_at = time.time()
    eventually(lambda: {note.daemon for note in group.notes() if note.begun_at > back_at}, lambda seen: len(seen) == 2)
    result = account(group, group.end())
    fires_again_s = min(note.begun_at for note in group.notes() if note.begun_at > back_at) - back_at
    print(f"fired again {fires_again_s:.3f} s after the return")
    assert [daemon.returncode for daemon in group.daemons] == [0, 0], group.logs
    assert [log.count("trying again") for log in group.logs] == [1, 1]
    assert [log.count("answers again") for log in group.logs] == [1, 1]
    assert (result.doubled, result.lost) == (0, 0)
    assert Outcome.ABANDONED not in {run.outcome for run in group.runs()}
    assert fires_again_s < slowed(1)


def test_connections_cut_at_random_moments_cost_nothing(group: DaemonGroup, postgres: Server) -> None:
    """Within transactions, between them, and during a commit."""
    group.add(TIMERS, overlap=OverlapPolicy.ALLOW)
    group.start(2)
    database = group.store.url.database
    cut = 0
    for _ in range(scaled(12, 100)):
        time.sleep(0.1 + 0.3 * random.random())
        cut += len(
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        )
    until = group.now()
    eventually(
        lambda: [run for run in group.runs() if run.outcome is None and run.fire_time < until], lambda seen: not seen
    )
    result = account(group, group.end())
    print(f"{cut} connections were cut")
    assert [daemon.returncode for daemon in group.daemons] == [0, 0], group.logs
    assert (result.doubled, result.lost) == (0, 0)
    assert [run for run in group.runs() if run.outcome is None] == []
