"""Runs that follow another one: which end leads to them, when they begin, and that none is lost or doubled."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.chains import MAX_QUEUED
from scheduler.claims.requested_runs import backfill, request_run
from scheduler.core.breaker import BreakerState
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Kind, Outcome, Run, Task
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Every
from scheduler.errors import StoreUnavailableError, TimerError
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.timer_apply import apply_timers
from scheduler.store.timers import TimerTable
from tests.scheduler.claims.second_daemon import Second
from tests.scheduler.scripted_service import FAILURE, REFUSAL, START, SUCCESS, TIME_OUT, Service

PRODUCTION = Environment.PRODUCTION


def timer(name: str, **options: Any) -> Timer:
    return Timer(name=name, **{"function": name, "trigger": Every(3600), **options})


def chain(service: Service, *, leader: dict[str, Any] | None = None, **follower: Any) -> None:
    """`extract`, each minute, and `load`, which follows it and is disabled."""
    extract = timer("extract", enabled=True, then=["load"], **{"trigger": Every(60), **(leader or {})})
    service.timetable.add([extract, timer("load", **follower)], now=service.clock.now(), quota=0)
    service.settle()


def runs_of(service: Service, name: str) -> list[Run]:
    """Oldest first."""
    return service.history.runs(timer=name, limit=2_000)[::-1]


def causes(service: Service, name: str = "load") -> list[int | None]:
    return [run.cause_id for run in runs_of(service, name)]


def ends_as(**endings: Any) -> Callable[[Task], Any]:
    """A script: how functions end, by name; others succeed."""
    return lambda task: endings.get(task.function, SUCCESS)


def test_a_run_that_succeeded_leads_to_a_run_of_each_follower(service: Service) -> None:
    """Though they are disabled; the history shows what led to what."""
    chain(service, params={"n": 3})
    service.after(60)
    (cause,), (run,) = runs_of(service, "extract"), runs_of(service, "load")
    assert (run.kind, run.cause_id, run.outcome) == (Kind.CHAINED, cause.id, Outcome.SUCCEEDED)
    assert run.fire_time == cause.ended_at
    assert [each.id for each in service.history.led_to(cause.id)] == [run.id]
    assert service.executor.begun[-1].params == '{"n":3}'


@pytest.mark.parametrize(
    ("then_on", "leading"),
    [
        ("succeeded", {"succeeded"}),
        ("failed", {"failed", "refused", "timed_out"}),
        ("ended", {"succeeded", "failed", "refused", "timed_out", "cancelled", "abandoned"}),
    ],
)
def test_then_on_decides_which_end_leads_on(service: Service, then_on: str, leading: set[str]) -> None:
    """However a run that has begun has ended."""
    found = set()
    chain(service, leader={"then_on": then_on, "breaker_threshold": 0})
    for how in ("succeeded", "failed", "refused", "timed_out", "cancelled", "abandoned"):
        before = len(runs_of(service, "load"))
        scripts = {"succeeded": SUCCESS, "failed": FAILURE, "refused": REFUSAL, "timed_out": TIME_OUT}
        service.executor.script = ends_as(extract=scripts.get(how))
        service.after(60)
        if how == "cancelled":
            request_cancel(service.store, service.executor.going_on[0].run_id, now=service.clock.now())
            service.settle()
        if how == "abandoned":
            service.kill()
            service.executor.script = ends_as()
            service.start()
            service.settle()
        if len(runs_of(service, "load")) > before:
            found.add(how)
    assert found == leading


def test_only_the_last_attempt_leads_on(service: Service) -> None:
    """A run that is tried again leads to nothing yet."""
    outcomes = iter([FAILURE, FAILURE, SUCCESS])
    service.executor.script = lambda task: next(outcomes) if task.function == "extract" else SUCCESS
    chain(service, leader={"retries": 2, "retry_backoff_s": 1, "then_on": "ended"})
    service.after(60)
    assert causes(service) == []
    service.after(1)
    assert causes(service) == []
    service.after(2)
    assert causes(service) == [runs_of(service, "extract")[-1].id]


def test_an_abandoned_run_that_is_delivered_again_leads_on_once(service: Service) -> None:
    """By its last attempt."""
    service.executor.script = lambda _: None
    chain(service, leader={"delivery": Delivery.AT_LEAST_ONCE, "then_on": "ended"})
    service.after(60)
    service.kill()
    service.executor.script = ends_as()
    service.start()
    service.settle()
    first, second = runs_of(service, "extract")
    assert (first.outcome, second.outcome) == (Outcome.ABANDONED, Outcome.SUCCEEDED)
    assert causes(service) == [second.id]


def test_what_a_daemon_that_is_killed_has_entered_is_run_by_the_next(service: Service) -> None:
    """It stands in the store since the transaction that recorded the end."""
    chain(service)
    service.executor.script = ends_as(load=None)
    service.after(60)
    service.kill()
    service.executor.script = ends_as()
    service.start()
    service.settle()
    assert [run.outcome for run in runs_of(service, "load")] == [Outcome.ABANDONED]
    service.after(60)
    assert [run.outcome for run in runs_of(service, "load")] == [Outcome.ABANDONED, Outcome.SUCCEEDED]


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_lost_answer_to_the_commit_doubles_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """Whether the transaction of the end was committed or not."""
    chain(service)
    assert service.daemon is not None
    real, faults = service.daemon._claims.record, iter([True])

    def record(ended: Any, printed: Any = ()) -> None:
        fault = next(faults, False) and bool(ended)
        if fault and not is_committed:
            raise StoreUnavailableError("not committed")
        real(ended, printed)
        if fault:
            service.daemon._claims._unknown._attempted = len(ended), len(printed)  # type: ignore[union-attr]
            service.daemon._claims._unknown._recorded = 0, 0  # type: ignore[union-attr]
            raise StoreUnavailableError("the answer was lost")

    monkeypatch.setattr(service.daemon._claims, "record", record)
    service.clock.advance(60)
    for _ in range(20):
        service.daemon.turn()
    service.clock.advance(1)
    for _ in range(20):
        service.daemon.turn()
    assert causes(service) == [run.id for run in runs_of(service, "extract")]


def test_two_daemons_enter_and_run_each_once(service: Service, second: Second) -> None:
    """Whichever takes the turn."""
    chain(service)
    second.executor.script = ends_as()
    for each in itertools.islice(itertools.cycle([service.settle, second.settle]), 20):
        service.clock.advance(30)
        each()
    service.settle()
    second.settle()
    assert causes(service) == [run.id for run in runs_of(service, "extract")]
    assert {run.outcome for run in runs_of(service, "load")} == {Outcome.SUCCEEDED}


@pytest.mark.parametrize("overlap", OverlapPolicy)
def test_a_follower_waits_while_a_run_of_its_timer_goes_on(service: Service, overlap: OverlapPolicy) -> None:
    """None is skipped; with allow it begins at once."""
    service.executor.script = ends_as(load=None)
    chain(service, overlap=overlap)
    for _ in range(3):
        service.after(60)
    assert len(service.executor.going_on) == (3 if overlap is OverlapPolicy.ALLOW else 1)
    for _ in range(3):
        service.executor.end(service.executor.going_on[0])
        service.settle()
    assert [run.outcome for run in runs_of(service, "load")] == [Outcome.SUCCEEDED] * 3


def test_with_allow_as_many_begin_as_max_concurrent(service: Service) -> None:
    """The others wait."""
    service.executor.script = ends_as(load=None)
    chain(service, overlap=OverlapPolicy.ALLOW, max_concurrent=2)
    for _ in range(4):
        service.after(60)
    assert len(service.executor.going_on) == 2
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert len(service.executor.going_on) == 2


def test_no_more_than_a_bound_wait(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further ones are recorded as skipped."""
    monkeypatch.setattr("scheduler.claims.chains.MAX_QUEUED", 2)
    assert MAX_QUEUED == 1_000
    service.executor.script = ends_as(load=None)
    chain(service)
    for _ in range(5):
        service.after(60)
    outcomes = [run.outcome for run in runs_of(service, "load")]
    assert outcomes == [None, None, None, Outcome.SKIPPED_OVERLAP, Outcome.SKIPPED_OVERLAP]
    assert None not in causes(service)


def test_a_follower_goes_by_its_own_breaker_and_retries(service: Service) -> None:
    """Its attempts have the same cause."""
    service.executor.script = ends_as(load=FAILURE)
    chain(service, leader={"trigger": Every(30)}, retries=1, retry_backoff_s=1, breaker_threshold=1)
    service.after(30)
    service.after(2)
    (cause,) = runs_of(service, "extract")
    assert [(run.attempt, run.cause_id) for run in runs_of(service, "load")] == [(1, cause.id), (2, cause.id)]
    assert service.timetable.get("load").breaker.state is BreakerState.OPEN
    service.after(28)
    assert runs_of(service, "load")[-1].outcome is Outcome.SHORT_CIRCUITED


def test_a_pause_holds_what_follows(service: Service) -> None:
    """It begins when the pause is over."""
    service.executor.script = ends_as(extract=None)
    chain(service)
    service.after(60)
    PauseTable(service.store).pause(now=service.clock.now())
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert [run.outcome for run in runs_of(service, "load")] == [None]
    PauseTable(service.store).resume(now=service.clock.now())
    service.settle()
    assert [run.outcome for run in runs_of(service, "load")] == [Outcome.SUCCEEDED]


def test_a_removed_follower_is_reported_in_the_run(service: Service) -> None:
    """Which ends as it did; the others run."""
    service.timetable.add([timer("audit")], now=service.clock.now())
    chain(service)
    service.timetable.edit("extract", PRODUCTION, {"then": ["load", "audit"]}, now=service.clock.now())
    service.timetable.remove("load")
    service.after(60)
    (run,) = runs_of(service, "extract")
    assert run.outcome is Outcome.SUCCEEDED
    assert [line.text for line in service.history.lines(run.id)] == [
        "the timer 'load', which follows, was removed: it does not run"
    ]
    assert causes(service, "audit") == [run.id]


def test_a_removed_leader_leads_to_nothing(service: Service) -> None:
    """Even if another timer has its id or name by then."""
    service.executor.script = ends_as(extract=None)
    chain(service)
    service.after(60)
    service.timetable.remove("extract")
    service.timetable.add([timer("extract", then=["load"])], now=service.clock.now())
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert causes(service) == []


def test_a_new_name_goes_along(service: Service) -> None:
    """With a recorded change, and while the leader runs."""
    service.executor.script = ends_as(extract=None)
    chain(service)
    service.after(60)
    service.timetable.rename("load", "store", now=service.clock.now())
    service.timetable.edit("extract", PRODUCTION, {"name": "fetch"}, now=service.clock.now())
    assert service.timetable.get("fetch").timer.then == ("store",)
    (change,) = [each for each in ChangeHistory(service.store).page().items if each.after == {"then": ["store"]}]
    assert (change.name, change.before) == ("extract", {"then": ["load"]})
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert len(causes(service, "store")) == 1


def test_circles_are_refused_however_they_are_made(store: Store) -> None:
    """By adding, editing, renaming and applying; nothing is changed."""
    table, now = TimerTable(store), START
    with pytest.raises(TimerError, match="in a circle: a → b → a"):
        table.add([timer("a", then=["b"]), timer("b", then=["a"])], now=now)
    assert table.list() == []
    table.add([timer("c"), timer("b", then=["c"]), timer("a", then=["b"])], now=now)
    with pytest.raises(TimerError, match="in a circle: c → a → b → c"):
        table.edit("c", PRODUCTION, {"then": ["a"]}, now=now)
    with pytest.raises(TimerError, match="in a circle: c → b → c"):
        apply_timers(store, [timer("c", then=["b"])], now=now)
    # What names a removed timer waits for one of that name.
    table.remove("c")
    with pytest.raises(TimerError, match="in a circle: c → b → c"):
        table.rename("a", "c", now=now)
    assert {entry.timer.name: entry.timer.then for entry in table.list()} == {"a": ("b",), "b": ("c",)}
    # The other way round, all at once.
    apply_timers(store, [timer("a"), timer("b", then=["a"])], now=now)
    assert table.get("b").timer.then == ("a",)


def test_an_unknown_follower_is_refused(store: Store) -> None:
    """With the timers that there are; also one of the other environment."""
    table = TimerTable(store)
    table.add([timer("load", environment=Environment.STAGE), timer("store")], now=START)
    with pytest.raises(TimerError, match="then: no timer 'load' in production; known timers: extract, store") as error:
        table.add([timer("extract", then=["load"])], now=START)
    assert error.value.field == "then"
    with pytest.raises(TimerError, match="then: no timer 'load'"):
        table.edit("store", PRODUCTION, {"then": ["load"]}, now=START)
    with pytest.raises(TimerError, match="then: no timer 'load'"):
        apply_timers(store, [timer("extract", then=["load"])], now=START)


def test_the_past_and_hands_lead_on_too(service: Service) -> None:
    """And a chain may be long."""
    service.timetable.add([timer("report")], now=service.clock.now())
    chain(service, then=["report"])
    service.timetable.disable("extract")
    request_run(service.store, "extract", PRODUCTION, now=service.clock.now())
    service.settle()
    service.clock.advance(120)
    span = (START, START + timedelta(seconds=90))
    backfill(service.store, "extract", PRODUCTION, span, now=service.clock.now())
    service.settle()
    leaders = [run.id for run in runs_of(service, "extract")]
    assert sorted(causes(service), key=str) == sorted(leaders, key=str)
    assert causes(service, "report") == [run.id for run in runs_of(service, "load")]
