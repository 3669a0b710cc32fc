"""The system clock is set, the machine sleeps, the wall clock changes: real daemons, with a clock that the test moves.

Every test prints what was due, fired, doubled and lost, and asserts all four; daemon_processes.py defines these.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from scheduler.core.misfire import GRACE
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron
from tests.scheduler.daemon_processes import SECOND, Account, DaemonGroup, account, daemon_group, print_account
from tests.scheduler.fault_scale import scaled
from tests.waiting import PATIENCE_S, eventually, slowdown, slowed

pytestmark = pytest.mark.faults

TIMERS = 10
WATCH_S = scaled(2.5, 90.0)
GRACE_S = GRACE.total_seconds()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[DaemonGroup]:
    with daemon_group(str(tmp_path / "a.db"), tmp_path) as group:
        yield group


def silences_s(group: DaemonGroup, since: float) -> list[float]:
    """The seconds between fires."""
    begun = sorted(note.begun_at for note in group.notes() if note.begun_at >= since)
    return [after - before for before, after in pairwise([since, *begun])]


@pytest.mark.parametrize("seconds", scaled([-30, 3600], [-30, -3600, 30, 3600]))
def test_a_clock_that_is_set_neither_silences_nor_doubles(group: DaemonGroup, seconds: int) -> None:
    """Set back, the daemon goes on slowly; set forward, it follows, and skipped fire times go by their policy."""
    group.add(TIMERS, overlap=OverlapPolicy.ALLOW)
    # A daemon that starts slowly misses nothing; what it misses when its clock is set forward has the usual grace.
    group.start(1, grace_s=GRACE_S if seconds > 0 else slowed(PATIENCE_S))
    time.sleep(1.5)
    set_at = time.time()
    group.set_clock(seconds)
    time.sleep(WATCH_S)
    pace = sum(note.begun_at > set_at for note in group.notes()) / (TIMERS * WATCH_S)
    silence_s = max(silences_s(group, set_at))
    end = group.end()
    if seconds < 0:
        # The daemon's own clock is ahead of the system's, so the last fire time is its end.
        end = max(note.fire_time for note in group.notes()) - SECOND
    result = account(group, end)
    missed = sum(run.count for run in group.runs() if run.outcome is Outcome.MISFIRED)
    print(f"set by {seconds} s: silent for {silence_s:.2f} s at most; {pace:.2f} of the pace; missed {missed}")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired + (missed if seconds > 0 else 0) == result.due
    assert silence_s < slowed(2)
    assert pace > 0.4 / slowdown()
    if seconds > 0:
        # All that was skipped except the last seconds: within the grace a fire time is late, not missed.
        assert missed == pytest.approx(TIMERS * (seconds - GRACE_S), abs=slowed(2) * TIMERS)


def test_a_machine_that_slept_goes_on_where_it_wakes(group: DaemonGroup) -> None:
    """Its processes stood still for two seconds, and the wall clock is an hour ahead."""
    group.add(TIMERS, overlap=OverlapPolicy.ALLOW)
    group.start(1)
    time.sleep(1.2)
    (daemon,) = group.daemons
    os.kill(daemon.pid, signal.SIGSTOP)
    time.sleep(2)
    group.set_clock(3600)
    woke_at = time.time()
    os.kill(daemon.pid, signal.SIGCONT)
    eventually(lambda: len([note for note in group.notes() if note.begun_at > woke_at]), lambda seen: seen > 3 * TIMERS)
    result = account(group, group.end())
    missed = sum(run.count for run in group.runs() if run.outcome is Outcome.MISFIRED)
    print(f"fired again {silences_s(group, woke_at)[0]:.3f} s after it woke; missed {missed}")
    assert (result.doubled, result.lost, result.fired + missed) == (0, 0, result.due)
    assert silences_s(group, woke_at)[0] < slowed(1)
    assert missed == pytest.approx(TIMERS * (3600 - GRACE_S), abs=slowed(5) * TIMERS)


NEW_YORK = "America/New_York"
FIRST_PASS, SECOND_PASS = datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)
AFTER_GAP = datetime(2026, 3, 8, 7, tzinfo=UTC)
#: When the clocks of New York change, and what fires in the two hours around it: expression, policy, instants.
CHANGES = {
    "gap": (
        AFTER_GAP,
        [
            ("0 30 2 * * ?", "vixie", [AFTER_GAP]),
            ("0 30 2 * * ?", "quartz", []),
            ("0 0 3 * * ?", "vixie", [AFTER_GAP]),
        ],
    ),
    "overlap": (
        SECOND_PASS,
        [
            ("0 0 1 * * ?", "vixie", [FIRST_PASS]),
            ("0 0 1 * * ?", "quartz", [SECOND_PASS]),
            ("0 0 * * * ?", "vixie", [FIRST_PASS, SECOND_PASS]),
        ],
    ),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_the_clocks_change_while_the_daemon_runs(group: DaemonGroup, change: str) -> None:
    """Each timer fires by the policy of its expression; one that fires every second is not affected.

    The timers are over an hour old; the daemon runs only for the seconds around the change.
    """
    moment, expected = CHANGES[change]
    group.set_clock((moment - timedelta(minutes=80) - datetime.now(UTC)).total_seconds())
    group.add_timers(*(noting(group, f"{n}", Cron(text, NEW_YORK, dst)) for n, (text, dst, _) in enumerate(expected)))
    # The daemon is to claim what fired an hour ago before more is due.
    group.set_clock((moment - slowed(4) * SECOND - datetime.now(UTC)).total_seconds())
    group.add_timers(noting(group, "every-second", Cron("* * * * * ?", NEW_YORK)))
    begin = group.now()
    group.start(1, grace_s=slowed(GRACE_S))
    eventually(group.now, lambda seen: seen > moment + 2 * SECOND, within_s=slowed(PATIENCE_S))
    end = group.end()
    due = Counter((f"{number}", fire_time) for number, (_, _, times) in enumerate(expected) for fire_time in times)
    seconds = (moment + SECOND * rank for rank in range(-1_000, 1_000))
    due.update(("every-second", second) for second in seconds if begin < second <= end)
    fired = Counter((note.timer, note.fire_time) for note in group.notes() if note.fire_time <= end)
    outcomes = Counter(str(run.outcome) for run in group.runs())
    print_account(Account(due.total(), len(fired), (fired - due).total(), (due - fired).total()), outcomes)
    assert fired == due
    assert set(outcomes) == {"succeeded"}


def noting(group: DaemonGroup, name: str, trigger: Cron) -> Timer:
    params = {"path": str(group.notes_file)}
    return Timer(name=name, function="note", trigger=trigger, params=params, overlap=OverlapPolicy.ALLOW, enabled=True)
