"""The connection breaks before a commit is answered: nothing is lost, and nothing takes place twice."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Timer
from scheduler.core.triggers import Every
from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.timers import TimerTable
from tests.scheduler.claims.second_daemon import PRODUCTION, Second, begin_runs, registered
from tests.scheduler.scripted_service import FAILURE, SUCCESS, Service


@contextmanager
def unanswered(store: Store, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> Iterator[None]:
    """Within the block, no commit is answered; each is carried out, or not."""

    @contextmanager
    def writing(self: Store) -> Iterator[Connection]:
        if committed:
            with store_writing(self) as connection:
                yield connection
            raise StoreUnavailableError("the connection was lost")
        with store_writing(self) as connection:
            yield connection
            raise StoreUnavailableError("the connection was lost")

    # Of the class: the daemon has a view of the store.
    store_writing: Callable[..., AbstractContextManager[Connection]] = type(store).writing
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "writing", writing)
        yield


@pytest.mark.parametrize("committed", [True, False])
def test_a_claim_whose_answer_was_lost_is_run_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """Whether it was committed or not: its function is called once, and the history has one row."""
    begin_runs(service)
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, committed=committed):
        service.daemon.turn()
    assert service.executor.begun == []
    service.daemon.turn()
    service.daemon.turn()
    assert len(service.executor.begun) == 1
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]


@pytest.mark.parametrize(("policy", "outcome"), [("skip", "misfired"), ("fire_once", None)])
def test_a_claim_that_is_found_too_late_is_subject_to_the_misfire_policy(
    service: Service, monkeypatch: pytest.MonkeyPatch, policy: str, outcome: str | None
) -> None:
    """The store did not answer for an hour, and then it turns out that the claim was committed."""
    begin_runs(service, seconds=86_400, misfire=MisfirePolicy(policy))
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    service.clock.advance(3600)
    service.daemon.turn()
    assert service.rows() == [(86_400, 1, outcome)]
    assert [task.past_due for task in service.executor.begun] == ([True] if outcome is None else [])


def test_a_requested_run_whose_claim_is_found_late_is_not_missed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a policy that skips what was missed on schedule."""
    begin_runs(service, seconds=86_400, misfire=MisfirePolicy.SKIP)
    service.settle()
    service.executor.end(service.executor.going_on[0])
    service.settle()
    service.executor.begun.clear()
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    assert service.daemon is not None
    service.daemon.wake()
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    assert service.daemon._claims.has_unknown_claims
    service.clock.advance(3600)
    service.settle()
    assert [task.kind for task in service.executor.begun] == ["manual"]


@pytest.mark.parametrize("max_runs", [1, 2])
def test_a_claim_that_is_found_too_late_does_not_count_for_max_runs(
    service: Service, monkeypatch: pytest.MonkeyPatch, max_runs: int
) -> None:
    """The timer has all of its runs, even if the missed one would have been its last."""
    begin_runs(service, seconds=2, misfire=MisfirePolicy.SKIP, max_runs=max_runs)
    service.executor.script = lambda _: SUCCESS
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    assert service.rows() == [(2, 1, None)]
    service.after(7.5)
    service.after(4)
    ran = [(6, 1, "succeeded"), (8, 1, "succeeded")][:max_runs]
    assert service.rows() == [(2, 1, "misfired"), (4, 1, "misfired"), *ran]
    assert service.timetable.get("t").state == "finished"


def test_a_claim_that_is_found_too_late_is_not_of_the_count_of_a_timer_that_was_enabled_since(
    service: Service, second: Second, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enabled anew, it has its runs by another daemon, while the first one does not know of its claim."""
    begin_runs(service, seconds=2, misfire=MisfirePolicy.SKIP, max_runs=2)
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    assert service.rows() == [(2, 1, None)]
    service.timetable.edit("t", PRODUCTION, {"overlap": OverlapPolicy.ALLOW}, now=service.clock.now())
    service.timetable.disable("t")
    service.timetable.enable("t", now=service.clock.now())
    for _ in range(2):
        service.clock.advance(2)
        second.settle()
    service.after(3.5)
    service.after(4)
    assert service.rows() == [(2, 1, "misfired"), (4, 1, None), (6, 1, None)]
    assert service.timetable.get("t").state == "finished"


@pytest.mark.parametrize("committed", [True, False])
def test_a_record_whose_answer_was_lost_is_written_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """Neither a line nor a failure is counted twice."""
    begin_runs(service)
    service.daemon.turn()  # type: ignore[union-attr]
    (task,) = service.executor.going_on
    service.executor.print(task, "only once")
    service.executor.end(task, *FAILURE)
    with unanswered(service.store, monkeypatch, committed=committed):
        service.daemon.turn()  # type: ignore[union-attr]
        service.daemon.turn()  # type: ignore[union-attr]
    service.settle()
    assert service.rows() == [(10, 1, "failed")]
    assert [line.text for line in service.history.lines(task.run_id)] == ["only once"]
    assert service.timetable.get("t").breaker.consecutive_failures == 1


@pytest.mark.parametrize("committed", [True, False])
def test_lines_whose_answer_was_lost_are_written_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """What a run prints while it goes on, with more to come."""
    begin_runs(service)
    service.daemon.turn()  # type: ignore[union-attr]
    (task,) = service.executor.going_on
    service.executor.print(task, "one")
    with unanswered(service.store, monkeypatch, committed=committed):
        service.daemon.turn()  # type: ignore[union-attr]
        service.executor.print(task, "two")
        service.daemon.turn()  # type: ignore[union-attr]
    service.executor.print(task, "three")
    service.settle()
    assert [line.text for line in service.history.lines(task.run_id)] == ["one", "two", "three"]


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_claim_that_is_found_and_ended_by_one_that_is_not_committed_is_found_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    """Otherwise its run would stay open for ever, and the timer would be skipped each time."""
    service.add(seconds=10, misfire=MisfirePolicy.SKIP, grace_s=1)
    service.after(9)
    service.clock.advance(1)
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    if is_cancelled:
        request_cancel(service.store, service.history.runs()[0].id, now=service.clock.now())
    # Before the lease is renewed.
    service.clock.advance(0.5 if is_cancelled else 1.5)
    with unanswered(service.store, monkeypatch, committed=False):
        service.daemon.turn()
    assert service.rows() == [(10, 1, None)]
    service.daemon.turn()
    assert service.rows() == [(10, 1, "cancelled" if is_cancelled else "misfired")]


@pytest.mark.parametrize("committed", [True, False])
def test_a_release_whose_answer_was_lost_is_finished_before_anything_is_handed_out(
    service: Service, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """A pause begins a moment before a fire time: its function is called once, after the pause."""
    service.add(seconds=10)
    service.after(10 - 0.002)
    assert service.rows() == [(10, 1, None)]
    pauses = PauseTable(service.store)
    pauses.pause(now=service.clock.now())
    assert service.daemon is not None
    service.daemon.wake()
    with unanswered(service.store, monkeypatch, committed=committed):
        service.daemon.turn()
    service.clock.advance(0.002)
    for _ in range(3):
        service.daemon.turn()
    assert service.executor.begun == []
    pauses.resume(now=service.clock.now())
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]
    assert len(service.executor.begun) == 1


def claimed_ahead_without_an_answer(service: Service, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Claim a timer that is due in 2 ms; the claim is committed, and not answered."""
    service.add(seconds=10, **options)
    service.after(9)
    service.clock.advance(1 - 0.002)
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    assert service.daemon._claims.has_unknown_claims
    assert service.rows() == [(10, 1, None)]


@pytest.mark.parametrize("reaches_s", [0.001, 0.5])
def test_a_claim_ahead_whose_answer_was_lost_does_not_begin_during_a_pause(
    service: Service, monkeypatch: pytest.MonkeyPatch, reaches_s: float
) -> None:
    """Whether the daemon reaches the store again before the fire time or after; after the pause, it runs once."""
    claimed_ahead_without_an_answer(service, monkeypatch)
    pauses = PauseTable(service.store)
    pauses.pause(now=service.clock.now())
    service.after(reaches_s)
    service.after(1)
    assert service.executor.begun == []
    pauses.resume(now=service.clock.now())
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]
    assert len(service.executor.begun) == 1


@pytest.mark.parametrize(("reaches_s", "left"), [(0.001, []), (0.5, [(10, 1, "misfired")])])
@pytest.mark.parametrize("with_end", [True, False])
def test_nor_does_it_once_its_timer_is_disabled(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    reaches_s: float,
    left: list[tuple[int, int, str]],
    with_end: bool,
) -> None:
    """For a while or for good; a fire time that has passed by then is on record."""
    claimed_ahead_without_an_answer(service, monkeypatch)
    now = service.clock.now()
    service.timetable.disable("t", now=now, until=now + timedelta(seconds=15) if with_end else None)
    service.after(reaches_s)
    service.after(1)
    assert (service.executor.begun, service.rows()) == ([], left)
    service.after(15)
    service.after(10)
    assert [outcome for *_, outcome in service.rows()[len(left) :]] == (["succeeded"] if with_end else [])


def test_a_requested_run_whose_claim_was_not_answered_begins_during_a_pause(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every run that a user requests."""
    service.add(seconds=86_400)
    service.settle()
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    assert service.daemon is not None
    service.daemon.wake()
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    assert service.daemon._claims.has_unknown_claims
    PauseTable(service.store).pause(now=service.clock.now())
    service.settle()
    assert [task.kind for task in service.executor.begun] == ["manual"]


def test_a_queued_run_whose_claim_was_not_answered_waits_for_the_end_of_a_pause(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that followed a run which has ended."""
    begin_runs(service, seconds=10, overlap=OverlapPolicy.QUEUE_ONE)
    service.settle()
    service.after(10)
    assert service.daemon is not None
    service.executor.end(service.executor.going_on[0])
    service.daemon.turn()
    assert service.rows() == [(10, 1, "succeeded"), (20, 1, None)]
    with unanswered(service.store, monkeypatch, committed=True):
        service.daemon.turn()
    assert service.daemon._claims.has_unknown_claims
    pauses = PauseTable(service.store)
    pauses.pause(now=service.clock.now())
    service.after(5)
    assert len(service.executor.begun) == 1
    pauses.resume(now=service.clock.now())
    service.settle()
    assert len(service.executor.begun) == 2


def test_a_daemon_whose_registration_was_not_answered_does_not_take_its_own_row_for_another_daemon(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers that fire when a daemon starts do so."""
    timer = Timer(name="t", function="f", trigger=Every(3600), enabled=True, fire_on_start=True)
    TimerTable(store).add([timer], now=clock.now())
    service = Service(store, clock)
    assert service.daemon is not None
    with unanswered(store, monkeypatch, committed=True):
        service.daemon.turn()
    assert len(registered(store)) == 1
    service.settle()
    assert registered(store) == {service.daemon._lease.id}
    assert [task.kind for task in service.executor.begun] == ["on_start"]
    service.kill()
