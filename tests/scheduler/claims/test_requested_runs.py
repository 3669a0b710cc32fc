"""Runs that users request: with parameters of their own, and once more."""

import pytest

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import request_again, request_run
from scheduler.core.run import Kind
from scheduler.core.timer import Delivery, Environment
from scheduler.errors import RunError, TimerError
from tests.scheduler.scripted_service import Service

PRODUCTION = Environment.PRODUCTION


def run(service: Service, **params: object) -> int:
    return request_run(service.store, "t", PRODUCTION, now=service.clock.now(), params=params or None)


def again(service: Service, run_id: int) -> int:
    return request_again(service.store, run_id, now=service.clock.now())


def last_params(service: Service) -> str:
    service.settle()
    return service.executor.begun[-1].params


def test_parameters_of_a_run_replace_those_of_its_timer_once(service: Service) -> None:
    """All of them; the next run has the timer's again."""
    service.add(params={"to": "all", "n": 1})
    run(service, day=5)
    assert last_params(service) == '{"day":5}'
    run(service)
    assert last_params(service) == '{"to":"all","n":1}'
    with pytest.raises(TimerError, match="cannot be encoded as JSON"):
        run(service, day=object())


def test_a_run_again_has_the_same_parameters(service: Service) -> None:
    """Its own, or else those that the timer has now."""
    service.add(params={"n": 1})
    own, plain = run(service, day=5), run(service)
    service.settle()
    service.timetable.edit("t", PRODUCTION, {"params": {"n": 2}}, now=service.clock.now())
    first = again(service, own)
    assert last_params(service) == '{"day":5}'
    again(service, first)
    assert last_params(service) == '{"day":5}'
    again(service, plain)
    assert last_params(service) == '{"n":2}'
    assert {each.kind for each in service.history.runs()} == {Kind.MANUAL}


def test_a_run_that_a_crash_interrupts_keeps_its_parameters(service: Service) -> None:
    """When it is delivered once more."""
    service.executor.script = lambda _: None
    service.add(delivery=Delivery.AT_LEAST_ONCE)
    run(service, day=5)
    service.settle()
    service.kill()
    service.start()
    assert last_params(service) == '{"day":5}'


def test_a_cancelled_run_can_be_run_again(service: Service) -> None:
    """As any other one."""
    service.add()
    cancelled = run(service)
    request_cancel(service.store, cancelled, now=service.clock.now())
    run_id = again(service, cancelled)
    service.settle()
    assert [task.run_id for task in service.executor.begun] == [run_id]


def test_a_run_of_a_timer_that_was_renamed_or_removed(service: Service) -> None:
    """The timer is found under its new name; a removed one is not replaced by one that has its id."""
    service.add()
    first = run(service)
    service.settle()
    service.timetable.edit("t", PRODUCTION, {"name": "renamed"}, now=service.clock.now())
    again(service, first)
    service.settle()
    assert service.history.runs()[0].timer == "renamed"
    service.timetable.remove("renamed")
    service.clock.advance(1)
    service.add("other")
    with pytest.raises(RunError, match="its timer 't' was removed"):
        again(service, first)
    with pytest.raises(RunError, match="no run 999"):
        again(service, 999)
