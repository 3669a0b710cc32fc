"""A fire time is claimed shortly before it is due and handed out then; whatever comes between, it has one row."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.claims.claims import Claims
from scheduler.clock import ManualClock
from scheduler.core.breaker import BreakerState
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.daemon.claim_ahead import LEFTOVER_LEAD, MAX_LEAD, MIN_LEAD, Lead
from scheduler.daemon.loop import HEAD_START_S, WORKERS_FIRST_S, Daemon
from scheduler.daemon.turn_errors import RETRY_S
from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.timers import TimerTable
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, ScriptedExecutor, Service, release
from tests.waiting import eventually

PRODUCTION = Environment.PRODUCTION
#: Well within the shortest lead.
AHEAD_S = 0.002


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def ahead_of_the_first_fire(service: Service, **options: Any) -> None:
    """A timer of ten seconds whose first fire time is claimed, and due in two milliseconds."""
    service.add(seconds=10, **options)
    service.after(10 - AHEAD_S)
    assert service.rows() == [(10, 1, None)]
    assert service.executor.begun == []


def test_a_fire_is_claimed_shortly_before_it_is_due_and_handed_out_then(service: Service) -> None:
    """At the instant itself nothing else is left to do."""
    ahead_of_the_first_fire(service)
    assert service.daemon is not None
    assert service.daemon.next_due == at(10)
    (run,) = service.history.runs()
    assert run.claimed_at == at(10 - AHEAD_S)
    assert service.timetable.get("t").next_fire == at(20)
    service.after(AHEAD_S)
    (run,) = service.history.runs()
    assert (run.started_at, run.outcome) == (at(10), Outcome.SUCCEEDED)


@pytest.mark.parametrize("overlap", OverlapPolicy)
def test_what_has_to_be_judged_is_claimed_when_it_is_due(service: Service, overlap: OverlapPolicy) -> None:
    """The last run goes on a moment before the fire time, but has ended at it: that is no overlap."""
    service.executor.script = lambda task: None
    service.add(seconds=10, overlap=overlap)
    service.after(10)
    service.after(10 - AHEAD_S)
    assert service.rows() == [(10, 1, None)]
    service.executor.end(service.executor.going_on[0])
    service.after(AHEAD_S)
    assert service.rows() == [(10, 1, "succeeded"), (20, 1, None)]
    assert len(service.executor.going_on) == 1


def test_what_was_claimed_ahead_has_a_head_start_on_what_has_to_be_judged(service: Service) -> None:
    """Its worker may need the processor on which the daemon would claim."""
    service.executor.script = lambda task: FAILURE if task.timer == "failing" else SUCCESS
    service.add("failing", seconds=10)
    service.after(10)
    service.add("well", seconds=10)
    service.after(10 - AHEAD_S)
    service.clock.advance(AHEAD_S)
    assert service.daemon is not None
    assert service.daemon.step() == HEAD_START_S
    assert [task.timer for task in service.executor.begun] == ["failing", "well"]
    service.settle()
    assert [task.timer for task in service.executor.begun] == ["failing", "well", "failing"]


def test_workers_begin_before_the_daemon_goes_on_with_its_turn(service: Service) -> None:
    """Otherwise the daemon keeps a processor busy that a worker needs to begin."""
    ahead_of_the_first_fire(service)
    service.clock.advance(AHEAD_S)
    assert service.daemon is not None
    assert service.daemon.step() == WORKERS_FIRST_S
    assert len(service.executor.begun) == 1
    assert service.rows() == [(10, 1, None)]
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]


def test_a_daemon_that_hands_out_in_every_turn_records_all_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers that are due one after the other do not keep it from the rest of its turn."""
    ahead_of_the_first_fire(service)
    service.clock.advance(AHEAD_S)
    assert service.daemon is not None
    service.daemon.step()
    monkeypatch.setattr(service.daemon, "_hand_out_due", lambda now: True)
    waits = [service.daemon.step() for _ in range(6)]
    assert WORKERS_FIRST_S in waits
    assert service.rows() == [(10, 1, "succeeded")]


def test_a_timer_with_failures_is_judged_when_it_is_due(service: Service) -> None:
    """Its breaker goes by the fire time."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=10, breaker_threshold=1)
    service.after(10)
    service.after(10 - AHEAD_S)
    assert service.rows() == [(10, 1, "failed")]
    service.after(AHEAD_S)
    assert service.rows() == [(10, 1, "failed"), (20, 1, "short_circuited")]
    assert service.timetable.get("t").breaker.state is BreakerState.OPEN


def test_a_fire_is_not_claimed_ahead_of_a_further_attempt(service: Service) -> None:
    """The attempt is due a moment before it; the claim checks, even if the daemon has not read of it yet."""
    outcomes = iter([FAILURE, SUCCESS, SUCCESS])
    service.executor.script = lambda task: next(outcomes)
    service.add(seconds=10, retries=1, retry_backoff_s=10 - AHEAD_S)
    service.after(10)
    service.after(10 - 2 * AHEAD_S)
    assert service.daemon is not None
    assert service.daemon._claims.claim_ahead(service.clock.now(), until=at(20)).tasks == []
    service.after(AHEAD_S)
    service.after(AHEAD_S)
    runs = sorted((run.fire_time, run.attempt, run.outcome) for run in service.history.runs())
    assert runs == [(at(10), 1, "failed"), (at(10), 2, "succeeded"), (at(20), 1, "succeeded")]


def test_a_daemon_that_stops_undoes_what_it_claimed_ahead(service: Service) -> None:
    """The next one fires it."""
    ahead_of_the_first_fire(service)
    assert service.daemon is not None
    service.daemon.stop()
    service.daemon.step()
    assert service.rows() == []
    assert service.timetable.get("t").next_fire == at(10)
    service.daemon.close()
    assert service.executor.begun == []
    service.start()
    service.after(1)
    assert service.rows() == [(10, 1, "succeeded")]


def test_what_is_released_fires_by_the_timer_as_it_is_then(service: Service) -> None:
    """Disabled in between, it does not."""
    ahead_of_the_first_fire(service)
    service.timetable.disable("t")
    assert service.daemon is not None
    service.daemon.close()
    service.start()
    service.after(30)
    assert service.rows() == []


def test_a_daemon_that_is_killed_with_fires_claimed_ahead_leaves_them_abandoned(service: Service) -> None:
    """It is unknown whether they were handed out."""
    ahead_of_the_first_fire(service)
    service.kill()
    service.start()
    service.after(10 + AHEAD_S)
    assert service.rows() == [(10, 1, "abandoned"), (20, 1, "succeeded")]


@pytest.mark.parametrize("misfire", MisfirePolicy)
def test_after_the_machine_slept_the_misfire_policy_decides(service: Service, misfire: MisfirePolicy) -> None:
    """An hour later the fire is no longer on time; each fire time stands in one row all the same."""
    ahead_of_the_first_fire(service, misfire=misfire)
    service.after(3600 - 10 + AHEAD_S)
    assert service.rows()[0] == (10, 1, "misfired" if misfire is MisfirePolicy.SKIP else "succeeded")
    assert sum(count for _, count, _ in service.rows()) == 360
    assert all(task.past_due for task in service.executor.begun if task.fire_time < at(3595))


def test_a_clock_that_is_set_back_by_a_day_releases_what_was_claimed_ahead(service: Service) -> None:
    """The fire time comes again tomorrow, and fires then, once."""
    ahead_of_the_first_fire(service)
    service.clock.jump(-86_400)
    service.settle()
    assert service.rows() == []
    assert service.executor.begun == []


def test_a_release_leaves_a_timer_that_was_switched_off_and_on_its_plan(service: Service) -> None:
    """An interval is counted from then on: the fire time that was claimed is none of it any more."""
    ahead_of_the_first_fire(service)
    service.timetable.disable("t")
    service.timetable.enable("t", now=service.clock.now())
    planned = service.timetable.get("t").next_fire
    assert planned is not None
    assert planned > at(10)
    assert service.daemon is not None
    service.daemon._claim_ahead.release(service.clock.now())
    assert service.rows() == []
    assert service.timetable.get("t").next_fire == planned


def test_a_clock_that_is_set_back_a_little_doubles_nothing(service: Service) -> None:
    """The steady clock goes on, and the task with it."""
    ahead_of_the_first_fire(service)
    service.clock.jump(-30)
    for _ in range(100):
        service.after(1)
    fire_times = [task.fire_time for task in service.executor.begun]
    assert fire_times == sorted(set(fire_times))
    assert fire_times[0] == at(10)


CHANGES: dict[str, Callable[[TimerTable, Service], object]] = {
    "edited": lambda timetable, service: timetable.edit("t", PRODUCTION, {"params": {"a": 1}}, now=service.clock.now()),
    "disabled and enabled": lambda timetable, service: (
        timetable.disable("t"),
        timetable.enable("t", now=service.clock.now()),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_timer_that_is_changed_too_late_fires_once_as_it_was(service: Service, change: str) -> None:
    """The claim stands; the change holds from the next fire on."""
    service.add(seconds=10)
    service.after(10)
    service.after(10 - AHEAD_S)
    CHANGES[change](service.timetable, service)
    service.after(AHEAD_S)
    assert [(task.fire_time, task.params) for task in service.executor.begun] == [(at(10), "{}"), (at(20), "{}")]
    service.after(10)
    # A timer that is enabled anew counts from then on: from 19.998 s, in whole seconds.
    assert [fire for fire, _, _ in service.rows()] == [10, 20, 30 if change == "edited" else 29]


def test_a_timer_that_is_removed_too_late_fires_once(service: Service) -> None:
    """Its run stands in the history."""
    ahead_of_the_first_fire(service)
    service.timetable.remove("t")
    service.after(30)
    assert service.rows() == [(10, 1, "succeeded")]


def test_a_timer_that_is_removed_and_added_too_late_fires_once(service: Service) -> None:
    """Neither twice at the fire time that was claimed, nor never again."""
    timer = Timer(name="t", function="f", trigger=Cron("0/10 * * * * ?"), enabled=True)
    service.timetable.add([timer], now=service.clock.now())
    service.after(10 - AHEAD_S)
    service.timetable.remove("t")
    (added,) = service.timetable.add([timer], now=service.clock.now())
    assert added.next_fire == at(20)
    service.after(5)
    assert service.rows() == [(10, 1, "succeeded")]
    service.after(10)
    assert service.rows() == [(10, 1, "succeeded"), (20, 1, "succeeded")]


CHANGES_BEHIND_TIME: dict[str, Callable[[TimerTable, Timer, datetime], object]] = {
    "edited": lambda timetable, _, now: timetable.edit("t", PRODUCTION, {"limit_s": 3}, now=now),
    "disabled and enabled": lambda timetable, _, now: (timetable.disable("t"), timetable.enable("t", now=now)),
    "removed and added": lambda timetable, timer, now: (timetable.remove("t"), timetable.add([timer], now=now)),
}


@pytest.mark.parametrize("change", CHANGES_BEHIND_TIME)
@pytest.mark.parametrize("waited_s", [0, 0.1, 15])
def test_a_change_that_had_to_wait_for_the_store_does_not_fire_again(
    service: Service, change: str, waited_s: float
) -> None:
    """Its `now` is a moment before a fire time that has run and ended meanwhile, and perhaps the next one too."""
    timer = Timer(name="t", function="f", trigger=Cron("0/10 * * * * ?"), enabled=True)
    service.timetable.add([timer], now=service.clock.now())
    service.after(10 - AHEAD_S)
    now = service.clock.now()
    service.after(AHEAD_S)
    service.after(waited_s)
    fired = 1 if waited_s < 10 else 2
    assert len(service.rows()) == fired
    CHANGES_BEHIND_TIME[change](service.timetable, timer, now)
    assert service.timetable.get("t").next_fire == at(10 + 10 * fired)
    service.settle()
    assert len(service.rows()) == fired


def test_what_is_due_stays_due_when_something_else_is_changed(service: Service) -> None:
    """It is not claimed yet, because the daemon was down, or busy."""
    service.add(seconds=10)
    service.kill()
    service.clock.advance(25)
    service.timetable.edit("t", PRODUCTION, {"params": {"a": 1}}, now=service.clock.now())
    service.start()
    service.settle()
    assert service.rows() == [(10, 1, "misfired"), (20, 1, "succeeded")]
    assert [task.params for task in service.executor.begun] == ['{"a":1}']


def test_a_change_ignores_fires_of_a_clock_that_was_wrong(service: Service) -> None:
    """Set forward by a year by mistake, and back."""
    ahead_of_the_first_fire(service)
    service.clock.jump(86_400 * 365)
    service.settle()
    service.clock.jump(-86_400 * 365)
    service.settle()
    timer = service.timetable.edit("t", PRODUCTION, {"limit_s": 3}, now=service.clock.now())
    assert timer.next_fire is not None
    assert timer.next_fire <= service.clock.now() + timedelta(seconds=30)


def test_what_was_claimed_ahead_is_handed_out_while_the_store_is_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its time, and it is recorded when the store answers again."""
    ahead_of_the_first_fire(service)
    assert service.daemon is not None

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patch:
        for name in ("upcoming", "claim", "claim_ahead", "record", "count_due"):
            patch.setattr(service.daemon._claims, name, away)
        service.daemon.wake()
        assert service.daemon.turn() == pytest.approx(AHEAD_S)
        service.clock.advance(AHEAD_S)
        assert service.daemon.turn() == RETRY_S
        assert [task.fire_time for task in service.executor.begun] == [at(10)]
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]


def test_a_claim_ahead_whose_commit_was_not_answered_is_found(service: Service) -> None:
    """It was committed: the fire time runs, once, when it is due."""
    service.add(seconds=10)
    service.after(5)
    claimed = service.daemon._claims.claim_ahead  # type: ignore[union-attr]

    def unanswered(*arguments: object, **options: object) -> object:
        answer = claimed(*arguments, **options)  # type: ignore[arg-type]
        service.daemon._claims.recheck(answer.tasks)  # type: ignore[union-attr]
        service.daemon._claims.claim_ahead = claimed  # type: ignore[union-attr, method-assign]
        raise StoreUnavailableError("connection lost")

    service.daemon._claims.claim_ahead = unanswered  # type: ignore[union-attr, method-assign]
    service.clock.advance(5 - AHEAD_S)
    assert service.daemon.turn() == RETRY_S  # type: ignore[union-attr]
    service.settle()
    assert service.executor.begun == []
    service.after(AHEAD_S)
    assert service.rows() == [(10, 1, "succeeded")]
    assert len(service.executor.begun) == 1


def away(*_: object, **__: object) -> None:
    raise StoreUnavailableError("away")


@pytest.mark.parametrize("overlap", [OverlapPolicy.SKIP, OverlapPolicy.ALLOW])
def test_a_release_after_later_claims_of_another_daemon_fires_nothing_again(
    service: Service, overlap: OverlapPolicy
) -> None:
    """A daemon that stood still with a claim ahead, and is stopped then, lets its run wait: the other begins it."""
    service.add(seconds=1, overlap=overlap)
    service.after(1 - AHEAD_S)
    other = Daemon(service.store, {PRODUCTION: (theirs := ScriptedExecutor(service.clock))}, clock=service.clock)

    def let_the_other_go_on() -> None:
        service.clock.advance(1)
        other.wake()
        for _ in range(20):
            other.step()

    let_the_other_go_on()
    let_the_other_go_on()
    assert service.daemon is not None
    service.daemon.stop()
    service.daemon.step()
    service.daemon.close()
    service.daemon = None
    let_the_other_go_on()
    release(other)
    begun = Counter(task.fire_time for task in theirs.begun)
    assert set(begun.values()) == {1}
    fire_times = [fire + rank for fire, count, _ in service.rows() for rank in range(count)]
    assert sorted(fire_times) == list(range(1, len(fire_times) + 1))
    assert len(fire_times) >= 3
    assert service.rows()[0] == (1, 1, "succeeded")


def test_a_daemon_is_notified_of_one_that_joins(service: Service) -> None:
    """So that the two share the next fire times."""
    service.after(1)
    other = Daemon(service.store, {PRODUCTION: ScriptedExecutor(service.clock)}, clock=service.clock)
    other.step()
    assert service.daemon is not None
    # PostgreSQL's notification takes a moment.
    eventually(lambda: service.daemon.step() is not None and service.daemon._lease.other_daemons == 1)  # type: ignore[union-attr]
    release(other)


@pytest.mark.parametrize("stands_still", [False, True])
def test_two_daemons_share_what_is_due_at_the_same_time(service: Service, stands_still: bool) -> None:
    """Half each; what a daemon that stands still leaves, the other one claims in time."""
    other = Daemon(service.store, {PRODUCTION: (theirs := ScriptedExecutor(service.clock))}, clock=service.clock)
    other.step()
    for number in range(11):
        service.add(f"t{number}", seconds=10)
    # Time to be notified of each other.
    service.after(5)
    other.step()
    service.after(5 - MIN_LEAD.total_seconds())
    for _ in range(0 if stands_still else 20):
        other.step()
    service.after((MIN_LEAD - LEFTOVER_LEAD).total_seconds())
    assert len(service.rows()) == 11
    assert service.executor.begun == []
    service.after(LEFTOVER_LEAD.total_seconds())
    other.step()
    release(other)
    begun = Counter(task.timer for task in [*service.executor.begun, *theirs.begun])
    assert begun == {f"t{number}": 1 for number in range(11)}
    assert len(service.executor.begun) == (11 if stands_still else 6)


def test_what_is_released_is_not_fired_by_a_timer_that_got_the_id_since(service: Service) -> None:
    """SQLite gives the id of a removed timer to the next one."""
    ahead_of_the_first_fire(service)
    service.timetable.remove("t")
    daily = Timer(name="daily", function="f", trigger=Cron("0 0 8 * * ?"), enabled=True)
    (added,) = service.timetable.add([daily], now=service.clock.now())
    assert service.daemon is not None
    service.daemon.stop()
    service.daemon.step()
    assert service.timetable.get("daily").next_fire == added.next_fire
    assert service.rows() == []


def test_a_last_run_that_is_released_is_not_lost(service: Service) -> None:
    """Its timer is finished, by its number of runs, when the unanswered claim is found after the clock was set back."""
    service.add(seconds=10, max_runs=1)
    daemon = service.daemon
    assert daemon is not None
    claimed = daemon._claims.claim

    def unanswered(*arguments: Any, **options: Any) -> object:
        daemon._claims.recheck(claimed(*arguments, **options).tasks)
        daemon._claims.claim = claimed  # type: ignore[method-assign]
        raise StoreUnavailableError("connection lost")

    daemon._claims.claim = unanswered  # type: ignore[method-assign]
    service.clock.advance(10)
    assert daemon.turn() == RETRY_S
    service.clock.jump(-86_400)
    service.settle()
    service.after(10)
    assert service.timetable.get("t").next_fire is None
    assert (service.rows(), service.executor.begun) == ([(10, 1, None)], [])
    pauses = PauseTable(service.store)
    pauses.pause(now=service.clock.now())
    service.settle()
    assert service.timetable.get("t").next_fire is None
    service.after(86_400)
    assert (service.rows(), service.executor.begun) == ([(10, 1, None)], [])
    pauses.resume(now=service.clock.now())
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]


def test_a_store_that_is_missing_is_tried_twice_a_second(tmp_path: Path, clock: ManualClock) -> None:
    """Even though a task is due that was claimed ahead; it runs when the file is back."""
    file, elsewhere = tmp_path / "store.db", tmp_path / "moved"
    with Store(f"sqlite:///{file}") as store:
        service = Service(store, clock)
        ahead_of_the_first_fire(service)
        assert service.daemon is not None
        file.rename(elsewhere)
        clock.advance(AHEAD_S)
        assert [service.daemon.turn() for _ in range(3)] == [RETRY_S] * 3
        elsewhere.rename(file)
        service.settle()
        assert service.rows() == [(10, 1, "succeeded")]
        service.kill()


def test_a_daemon_that_stops_while_the_store_is_away_tries_it_twice_a_second(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks that it cannot release are not handed out either."""
    ahead_of_the_first_fire(service)
    assert service.daemon is not None
    monkeypatch.setattr(service.daemon._claims, "give_back", away)
    service.daemon.stop()
    service.clock.advance(AHEAD_S)
    assert service.daemon.turn() == RETRY_S


@pytest.mark.parametrize("faulty", [(Claims, "release"), (TimerTable, "recompute_next_fires")])
def test_a_clock_set_back_while_the_store_is_away_recomputes_the_next_fires_later(
    service: Service, monkeypatch: pytest.MonkeyPatch, faulty: tuple[type, str]
) -> None:
    """Otherwise the timers would stand still until the clock has caught up."""
    ahead_of_the_first_fire(service)
    service.clock.jump(-3 * 3600)
    assert service.daemon is not None
    with monkeypatch.context() as patch:
        patch.setattr(*faulty, away)
        assert service.daemon.turn() == RETRY_S
    service.settle()
    next_fire = service.timetable.get("t").next_fire
    assert next_fire is not None
    assert next_fire <= service.clock.now() + timedelta(seconds=10)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 10)), max_size=20), st.integers(0, 1_000_000))
def test_a_lead_is_bounded_whatever_the_claims_took(claims: list[tuple[int, float]], fires: int) -> None:
    """However long the machine stalled, at most a quarter of a second; and more fires never have a shorter lead."""
    lead = Lead()
    for found, took_s in claims:
        lead.update(found, took_s)
    assert MIN_LEAD <= lead.of(fires) <= lead.of(fires + 1) <= MAX_LEAD


@given(st.floats(0.001, 0.04), st.floats(0.000_001, 0.000_1), st.integers(1, 1_000))
def test_a_lead_is_long_enough_for_claims_that_take_what_they_took(fixed_s: float, per_fire_s: float, n: int) -> None:
    """Once small and large claims have been measured."""
    lead = Lead()
    for fires in (1, 1_000):
        lead.update(fires, fixed_s + fires * per_fire_s)
    assert lead.of(n).total_seconds() >= min(MAX_LEAD.total_seconds(), fixed_s + n * per_fire_s)
