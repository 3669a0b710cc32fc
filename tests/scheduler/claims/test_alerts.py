"""Alerts are written in the transaction of their cause: one for each incident, then a count, then that it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.clock import ManualClock
from scheduler.core.alerts import AlertEvent, AlertRule, AlertRules, Cause, in_rounds
from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Outcome, Task
from scheduler.fleet.runs import FleetRuns
from scheduler.store.alert_queue import AlertQueue
from scheduler.store.alert_recording import write_alerts
from scheduler.store.database import Store
from scheduler.store.retention import Retention
from scheduler.store.timers import TimerTable
from tests.scheduler.scripted_service import FAILURE, REFUSAL, START, SUCCESS, TIME_OUT, Service

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BOTH = ["failed", "recovered"]


def rule(name: str = "team", on: Iterable[str] = BOTH, **options: Any) -> AlertRule:
    return AlertRule(name=name, on=on, webhook="https://example.com/hook", secret=SECRET, **options)  # type: ignore[arg-type]


def watch(store: Store, *rules: AlertRule) -> AlertQueue:
    store.alerts = AlertRules(rules)
    return AlertQueue(store)


def told(queue: AlertQueue) -> list[tuple[str, str, int]]:
    """The alerts, oldest first: the cause, the subject, the count."""
    return [(alert.cause.value, alert.subject, alert.count) for alert in reversed(queue.list())]


def test_a_timer_that_keeps_failing_gives_one_alert_and_a_count_and_one_when_it_has_recovered(service: Service) -> None:
    """The second one has the count of the first."""
    queue = watch(service.store, rule())
    service.add(seconds=10, breaker_threshold=0)
    service.executor.script = lambda _: FAILURE
    for _ in range(5):
        service.after(10)
    assert told(queue) == [("failed", "t", 5)]
    service.executor.script = lambda _: SUCCESS
    service.after(10)
    service.after(10)
    assert told(queue) == [("failed", "t", 5), ("recovered", "t", 5)]
    service.executor.script = lambda _: FAILURE
    service.after(10)
    assert told(queue)[2:] == [("failed", "t", 1)]
    assert [alert.is_open for alert in queue.list()] == [True, False, False]


def test_without_rules_nothing_is_written(service: Service) -> None:
    """Neither for a failure nor for its end."""
    service.add(seconds=10)
    service.executor.script = lambda _: FAILURE
    service.after(10)
    service.executor.script = lambda _: SUCCESS
    service.after(10)
    assert AlertQueue(service.store).list() == []
    assert service.store.alerts.written == 0


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        (FAILURE, "failed"),
        (REFUSAL, "failed"),
        (TIME_OUT, "timed_out"),
        ((Outcome.ABANDONED, Verdict.LOST), "abandoned"),
    ],
)
def test_the_cause_is_the_outcome(service: Service, ending: tuple[Outcome, Verdict], cause: str) -> None:
    """Each that a rule wants, and no other."""
    queue = watch(service.store, rule(on=[cause]), rule("other", on=["finished"]))
    service.add(seconds=10)
    service.executor.script = lambda _: ending
    service.after(10)
    (alert,) = queue.list()
    assert (alert.rule, alert.cause, alert.environment, alert.count) == ("team", cause, "production", 1)
    assert alert.message == "as the script says"
    assert alert.run_id == service.history.runs()[0].id


def test_a_short_circuited_timer_is_part_of_its_incident(service: Service) -> None:
    """Its fire times are counted; on its own, the open breaker is an alert too."""
    queue = watch(service.store, rule(on=["failed", "short_circuited"]), rule("breaker", on=["short_circuited"]))
    service.add(seconds=10, breaker_threshold=2)
    service.executor.script = lambda _: FAILURE
    for _ in range(5):
        service.after(10)
    assert told(queue) == [("failed", "t", 5), ("short_circuited", "t", 3)]
    # The message is that of the run, and not of the fire times that had none.
    assert (queue.list()[1].message, queue.list()[1].run_id) == ("as the script says", service.history.runs()[1].id)


def test_a_failed_attempt_that_is_repeated_has_not_failed_yet(service: Service) -> None:
    """Only the last attempt has."""
    queue = watch(service.store, rule())
    service.add(seconds=60, retries=1, retry_backoff_s=5)
    service.executor.script = lambda _: FAILURE
    service.after(60)
    assert told(queue) == []
    service.after(5)
    assert told(queue) == [("failed", "t", 1)]


def test_rules_are_narrowed_to_timers_tags_and_environments(service: Service) -> None:
    """A pattern of names, one of several tags; each rule has its own alert."""
    queue = watch(
        service.store,
        rule("names", timers=("rep*",)),
        rule("tags", tags=("night", "money")),
        rule("stage", environment="stage"),
        rule("all"),
    )
    service.add("report", tags=("x",))
    service.add("bill", tags=("money",))
    service.executor.script = lambda _: FAILURE
    service.after(10)
    assert sorted((alert.rule, alert.subject) for alert in queue.list()) == [
        ("all", "bill"),
        ("all", "report"),
        ("names", "report"),
        ("tags", "bill"),
    ]


def test_fire_times_that_were_missed_are_late_and_counted_in_one_alert(service: Service) -> None:
    """They are all misfires of one outage; after an hour without, there is another one."""
    queue = watch(service.store, rule(on=["late"]))
    service.add(seconds=60, misfire="skip")
    for _ in range(3):
        service.clock.advance(150)
        service.settle()
    assert [(cause, count >= 3) for cause, _, count in told(queue)] == [("late", True)]
    # From now on at its fire times.
    service.after(30)
    for _ in range(70):
        service.after(60)
    service.clock.advance(150)
    service.settle()
    assert [cause for cause, _, _ in told(queue)] == ["late", "late"]


def test_a_run_is_late_from_the_lateness_of_its_rule_on(service: Service) -> None:
    """Not if it is a little late."""
    queue = watch(service.store, rule(on=["late"], late_s=120), rule("soon", on=["late"], late_s=10))
    service.add(seconds=600)
    service.clock.advance(630)
    service.settle()
    assert [alert.rule for alert in queue.list()] == ["soon"]
    assert "the run began 30.0 s after its fire time" in queue.list()[0].message


def test_a_finished_timer_and_one_that_is_disabled_by_its_failure(service: Service) -> None:
    """Both in the transaction that does it."""
    queue = watch(service.store, rule(on=["finished", "paused_on_failure"]))
    service.add("twice", max_runs=2)
    service.add("once", pause_on_failure=True)
    service.executor.script = lambda task: FAILURE if task.timer == "once" else SUCCESS
    for _ in range(4):
        service.after(10)
    assert told(queue) == [("paused_on_failure", "once", 1), ("finished", "twice", 1)]
    assert "pause_on_failure is set" in queue.list()[1].message


def test_a_daemon_that_was_killed_is_alerted_with_its_runs_by_the_next(service: Service) -> None:
    """Once, however many daemons look for it; a daemon that stops is none."""
    queue = watch(service.store, rule(on=["abandoned", "no_daemon"]))
    service.add(seconds=600)
    service.executor.script = lambda _: None
    service.after(600)
    service.kill()
    service.start()
    service.settle()
    assert sorted(cause for cause, _, _ in told(queue)) == ["abandoned", "no_daemon"]
    assert service.daemon is not None
    service.daemon.close()
    service.start()
    service.after_a_lease()
    assert [cause for cause, _, _ in told(queue)].count("no_daemon") == 1


@pytest.mark.parametrize("what", ["enable", "reset", "remove"])
def test_an_incident_ends_when_somebody_looks_after_the_timer(service: Service, what: str) -> None:
    """So its next failure is alerted again."""
    queue = watch(service.store, rule())
    service.add()
    service.executor.script = lambda _: FAILURE
    service.after(10)
    table, now = TimerTable(service.store), service.clock.now()
    if what == "enable":
        table.disable("t", now=now)
        table.enable("t", now=now)
    elif what == "reset":
        table.reset("t", now=now)
    else:
        table.remove("t", now=now)
        service.add()
    service.after(10)
    assert told(queue) == [("failed", "t", 1), ("failed", "t", 1)]


def test_the_alerts_of_a_rolled_back_transaction_are_not_there(store: Store) -> None:
    """They are part of it."""
    queue = watch(store, rule())

    def write_and_fail() -> None:
        with store.writing() as connection:
            write_alerts(connection, [AlertEvent(Cause.FAILED, START, "t", "production")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert queue.list() == []


def test_texts_of_functions_are_bounded_and_stored(store: Store) -> None:
    """Also with characters that a database refuses."""
    queue = watch(store, rule())
    with store.writing() as connection:
        write_alerts(
            connection, [AlertEvent(Cause.FAILED, START, "t", "production", message="\0\ud800" + "x" * 100_000)]
        )
    assert len(queue.list()[0].message) == 1_000


ENDS = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans()), max_size=30)


@given(ENDS)
def test_in_any_order_of_endings_an_incident_is_one_alert(ends: list[tuple[str, bool]]) -> None:
    """Fail × n, then a success: one alert with the count n, and one of the recovery, whatever ends in between."""
    troubled: set[str] = set()
    events = []
    expected: dict[str, list[tuple[str, int]]] = {"a": [], "b": []}
    for name, fails in ends:
        if fails:
            events.append(AlertEvent(Cause.FAILED, START, name, "production"))
            if name in troubled:
                expected[name][-1] = ("failed", expected[name][-1][1] + 1)
            else:
                expected[name].append(("failed", 1))
            troubled.add(name)
        elif name in troubled:
            troubled.discard(name)
            events.append(AlertEvent(Cause.RECOVERED, START, name, "production"))
            expected[name].append(("recovered", expected[name][-1][1]))
    with Store("sqlite://") as store:
        queue = watch(store, rule())
        half = len(events) // 2
        for part in (events[:half], events[half:]):
            with store.writing() as connection:
                write_alerts(connection, part)
        for name, wanted in expected.items():
            assert [(cause, count) for cause, subject, count in told(queue) if subject == name] == wanted
    for events_of_round in in_rounds(events):
        assert len({event.subject for event in events_of_round}) == len(events_of_round)


def test_the_endings_of_one_transaction_count_in_their_order(store: Store, clock: ManualClock) -> None:
    """A failure and a success that are recorded together are an alert, and one that it is over."""
    service = Service(store, clock)
    queue = watch(store, rule())
    service.add(overlap="allow")
    service.executor.script = lambda _: None
    tasks: list[Task] = []
    for _ in range(3):
        service.after(10)
    tasks = list(service.executor.going_on)
    service.executor.end(tasks[0], *FAILURE)
    service.executor.end(tasks[1], *FAILURE)
    service.executor.end(tasks[2])
    service.settle()
    assert told(queue) == [("failed", "t", 2), ("recovered", "t", 2)]
    service.kill()


def test_alerts_are_kept_as_long_as_runs(store: Store) -> None:
    """Also those that wait for a rule that nobody has any more, but not those that may still be delivered."""
    queue = watch(store, rule(), rule("gone"))
    for age, name in ((50, "delivered"), (50, "forgotten"), (31, "waiting"), (1, "new")):
        with store.writing() as connection:
            write_alerts(connection, [AlertEvent(Cause.FAILED, START - timedelta(days=age), name, "production")])
    for alert in queue.list():
        if alert.subject == "delivered":
            queue.delivered(alert, START)
    Retention(store, timedelta(days=30)).prune(START)
    assert {alert.subject for alert in queue.list()} == {"waiting", "new"}


def test_the_ending_that_a_worker_of_a_fleet_writes_is_alerted(service: Service) -> None:
    """In its own transaction; it has the rules without their targets."""
    queue = watch(service.store, rule().without_target())
    service.add()
    service.executor.script = lambda _: None
    service.after(10)
    task, fleet = service.executor.begun[-1], FleetRuns(service.store)
    assert fleet.begin(task.run_id, task.request_id, "node/1", START)
    ended = Ending(outcome=Outcome.FAILED, verdict=Verdict.FAILURE, ended_at=START, error="it is broken")
    assert fleet.end(task.run_id, "node/1", ended)
    assert not fleet.end(task.run_id, "node/1", ended)
    assert told(queue) == [("failed", "t", 1)]
    assert "example.com" not in repr(service.store.alerts.rules[0].as_values())
