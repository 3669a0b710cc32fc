"""Every-second timers beside programs that change, read and prune thousands of timers and runs of the same store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.claims.requested_runs import backfill
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.store.change_recording import Author, Way
from scheduler.store.pause_table import PauseTable
from scheduler.store.retention import Retention
from scheduler.store.runs import RunHistory
from scheduler.store.timer_apply import apply_timers
from scheduler.store.timer_pages import TimerKey
from scheduler.store.timers import TimerTable
from scheduler.store.timers_at_once import BulkAction, change_timers
from tests.scheduler.daemon.test_load_faults import HEALTHY, check_healthy
from tests.scheduler.daemon_processes import DaemonGroup, daemon_group
from tests.scheduler.fault_scale import scaled
from tests.waiting import eventually, slowed

pytestmark = pytest.mark.faults

PRODUCTION = Environment.PRODUCTION
BY = Author("ann", Way.API)
#: Idle timers that are changed at once.
MANY = scaled(3_000, 10_000)
#: How late the every-second timers may be meanwhile; with a statement for each timer they were four times as late.
ON_TIME_S = 2.0


@pytest.fixture(params=["sqlite", "postgresql"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DaemonGroup]:
    if request.param == "sqlite":
        with daemon_group(str(tmp_path / "a.db"), tmp_path) as group:
            yield group
        return
    with request.getfixturevalue("postgres").database() as url, daemon_group(url, tmp_path) as group:
        yield group


def idle(number: int) -> Timer:
    return Timer(name=f"idle-{number}", function="note", trigger=Every(86_400), tags=("idle",))


def test_no_timer_is_late_beside_changes_of_thousands(group: DaemonGroup) -> None:
    """An import, an applied list, each bulk action, a backfill, a pause, an export, a prune: none holds it up."""
    store, new, now = group.store, [idle(number) for number in range(MANY)], group.now
    keys = [TimerKey("production", timer.name) for timer in new]

    def bulk(action: BulkAction) -> Callable[[], object]:
        return lambda: change_timers(store, keys, action, now=now(), by=BY)

    group.add(HEALTHY, overlap=OverlapPolicy.ALLOW)
    group.start(1)
    steps: list[Callable[[], object]] = [
        lambda: TimerTable(store).add(new, now=now(), quota=0, by=BY),
        lambda: apply_timers(store, [replace(timer, retries=2) for timer in new], now=now(), quota=0, by=BY),
        *(bulk(action) for action in (BulkAction.ENABLE, BulkAction.RESET, BulkAction.DISABLE)),
        lambda: TimerTable(store).list(),
        lambda: backfill(store, "idle-0", PRODUCTION, _past(group), now=now()),
        lambda: PauseTable(store).pause(tag="idle", now=now(), by=BY),
        lambda: PauseTable(store).resume(tag="idle", now=now(), by=BY),
        lambda: RunHistory(store).runs(limit=1_000),
        lambda: Retention(store, timedelta(days=1), keep_runs=1_000).prune(now()),
        bulk(BulkAction.REMOVE),
    ]
    for step in steps:
        begun = len(group.notes())
        step()
        # Fire times of before and after each step count.
        eventually(lambda begun=begun: len(group.notes()) >= begun + HEALTHY, within_s=slowed(30))  # type: ignore[misc]
    check_healthy(group, on_time_s=ON_TIME_S)


def _past(group: DaemonGroup) -> tuple:  # type: ignore[type-arg]
    end = group.now() - timedelta(days=1)
    return end - timedelta(days=300), end
