"""After a backfill, every fire time of a past time span has exactly one run; they run one after the other."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.claims.requested_runs import Backfill, backfill, cancel_backfill, plan_backfill
from scheduler.core.breaker import BreakerState
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Kind, Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.errors import TimerError, UnknownTimerError
from scheduler.functions.registry import Registry
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests.example_counts import examples
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.postgres_server import Server
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, Service

PRODUCTION, STAGE = Environment
HOUR = timedelta(hours=1)
HOURLY = Timer(name="t", function="f", trigger=Cron("0 0 * * * ?", "UTC"))


def fill(service: Service) -> Backfill:
    """Backfill everything from the start on."""
    now = service.clock.now()
    return backfill(service.store, "t", PRODUCTION, (START + timedelta(seconds=1), now), now=now)


def begun(service: Service) -> list[tuple[Kind, float]]:
    """The runs that were begun: their kind, and their hour after the start."""
    return [(task.kind, (task.fire_time - START) / HOUR) for task in service.executor.begun]


@pytest.fixture
def missed(service: Service) -> Service:
    """An hourly timer that skips what it missed; the daemon was down from the first hour to a minute past the fifth."""
    service.timetable.add([Timer(**_hourly(misfire=MisfirePolicy.SKIP, enabled=True))], now=START)
    service.after(3600)
    service.kill()
    service.clock.advance(4 * 3600 + 60)
    service.start()
    service.settle()
    assert service.rows() == [(3600, 1, "succeeded"), (7200, 4, "misfired")]
    return service


def _hourly(**changes: object) -> dict[str, object]:
    return {name: getattr(HOURLY, name) for name in HOURLY.__dataclass_fields__} | changes


def test_what_was_missed_runs_and_what_ran_does_not(missed: Service) -> None:
    """The four misfired hours, oldest first; a second backfill finds nothing to do."""
    assert fill(missed) == Backfill(tuple(START + hour * HOUR for hour in (2, 3, 4, 5)), have_run=1, still_due=0)
    missed.settle()
    assert begun(missed) == [(Kind.BACKFILL, hour) for hour in (2, 3, 4, 5)]
    assert fill(missed) == Backfill((), have_run=5, still_due=0)
    assert missed.rows()[2:] == [(hour * 3600, 1, "succeeded") for hour in (2, 3, 4, 5)]


def test_runs_are_begun_one_after_the_other_and_after_what_is_due(missed: Service) -> None:
    """The sixth hour comes while one is running: it is queued before those that wait."""
    missed.timetable.edit("t", PRODUCTION, {"overlap": OverlapPolicy.QUEUE_ONE}, now=missed.clock.now())
    missed.executor.script = lambda _: None
    fill(missed)
    missed.settle()
    missed.after(3540)
    order = []
    while missed.executor.going_on:
        (task,) = missed.executor.going_on
        order.append((task.kind, (task.fire_time - START) / HOUR))
        missed.executor.end(task)
        missed.settle()
    assert order == [
        (Kind.BACKFILL, 2),
        (Kind.SCHEDULED, 6),
        (Kind.BACKFILL, 3),
        (Kind.BACKFILL, 4),
        (Kind.BACKFILL, 5),
    ]


def test_backfilled_runs_that_wait_keep_no_fire_from_running(missed: Service) -> None:
    """Only one that is running is an overlap."""
    fill(missed)  # no turn is taken in between
    missed.clock.advance(3540)
    missed.settle()
    assert sorted(begun(missed)) == sorted([*((Kind.BACKFILL, hour) for hour in (2, 3, 4, 5)), (Kind.SCHEDULED, 6)])


def test_a_backfill_runs_whatever_the_breaker_is_and_leaves_it_alone(service: Service) -> None:
    """A backfilled run neither opens nor closes it."""
    service.timetable.add([Timer(**_hourly(breaker_threshold=1, enabled=True))], now=START)
    service.executor.script = lambda _: FAILURE
    service.after(3600)
    opened = service.timetable.get("t").breaker
    assert opened.state is BreakerState.OPEN
    for script in (lambda _: FAILURE, lambda _: SUCCESS):
        service.executor.script = script
        backfill(service.store, "t", PRODUCTION, (START - HOUR, START), now=service.clock.now())
        backfill(service.store, "t", PRODUCTION, (START - 2 * HOUR, START - HOUR), now=service.clock.now())
        service.settle()
    assert service.timetable.get("t").breaker == opened
    assert [kind for kind, _ in begun(service)] == [Kind.SCHEDULED, Kind.BACKFILL, Kind.BACKFILL]


def test_what_a_daemon_has_yet_to_claim_is_left_to_it(missed: Service) -> None:
    """So no fire time runs twice, however late the daemon is."""
    missed.kill()
    missed.clock.advance(3 * 3600)
    assert fill(missed).still_due == 3
    missed.start()
    missed.settle()
    assert begun(missed) == [(Kind.BACKFILL, hour) for hour in (2, 3, 4, 5)]


def test_a_timer_that_is_disabled_can_be_backfilled(service: Service) -> None:
    """Its fire times are those of an enabled timer."""
    service.timetable.add([HOURLY], now=START)
    service.clock.advance(5 * 3600 + 60)
    assert len(fill(service).fire_times) == 5


def test_a_run_that_is_cut_is_abandoned_and_counts_as_run(missed: Service) -> None:
    """The others wait for the next daemon."""
    missed.executor.script = lambda _: None
    fill(missed)
    missed.settle()
    missed.kill()
    missed.executor.script = lambda _: SUCCESS
    missed.start()
    missed.settle()
    assert begun(missed) == [(Kind.BACKFILL, hour) for hour in (3, 4, 5)]
    assert fill(missed).fire_times == ()


def test_runs_that_have_not_begun_can_be_cancelled(missed: Service) -> None:
    """And requested again later."""
    missed.executor.script = lambda _: None
    fill(missed)
    missed.settle()
    assert cancel_backfill(missed.store, "t", PRODUCTION) == 3
    assert cancel_backfill(missed.store, "t", PRODUCTION) == 0
    assert [run.outcome for run in missed.history.runs()] == [None, Outcome.MISFIRED, Outcome.SUCCEEDED]
    assert len(fill(missed).fire_times) == 3


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-HOUR, HOUR, "a backfill must end in the past; 2026-01-01T01:00:00.00:00 is in the future"),
        (
            -HOUR,
            -2 * HOUR,
            "the span from 2025-12-31T23:00:00.00:00 to 2025-12-31T22:00:00.00:00 ends before it begins",
        ),
        (-12 * HOUR, 0 * HOUR, "12 fire times of the span have no run, and 10 are entered at once; narrow it to end "),
        (-200_000 * HOUR, 0 * HOUR, "the span holds 200,000 fire times, and at most 100,000 are checked; narrow it"),
    ],
)
def test_an_invalid_span_is_refused(store: Store, start: timedelta, end: timedelta, message: str) -> None:
    """And nothing is entered."""
    TimerTable(store).add([HOURLY], now=START)
    for call in (backfill, plan_backfill):
        with pytest.raises(TimerError, match=message):
            call(store, "t", PRODUCTION, (START + start, START + end), now=START, cap=10)
    with pytest.raises(TimerError, match="a time zone"):
        backfill(store, "t", PRODUCTION, (START.replace(tzinfo=None), START), now=START)
    with pytest.raises(UnknownTimerError):
        backfill(store, "t", STAGE, (START - HOUR, START), now=START)
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0


@settings(deadline=None, max_examples=examples(40))
@given(st.integers(-5000, 0), st.integers(0, 5000), st.integers(0, 60), st.integers(60, 500))
def test_a_plan_has_the_fire_times_of_the_span(start: int, length: int, jitter_s: int, seconds: int) -> None:
    """From its beginning on, and before its end."""
    a, b = START + timedelta(seconds=start), START + timedelta(seconds=min(0, start + length))
    with Store("sqlite://") as store:
        timer = Timer(name="t", function="f", trigger=Every(seconds), jitter_s=jitter_s)
        kept = TimerTable(store).add([timer], now=START - timedelta(hours=1))[0].timer
        planned = plan_backfill(store, "t", PRODUCTION, (a, b), now=START)
    expected = [
        at
        for second in range(start, min(0, start + length))
        if kept.schedule.count(at := START + timedelta(seconds=second), at + timedelta(microseconds=1))
    ]
    assert list(planned.fire_times) == expected


def test_two_backfills_at_once_request_each_fire_time_once(postgres: Server) -> None:
    """The second one finds the runs of the first."""
    with postgres.database() as url, Store(url) as one, Store(url) as other, ThreadPoolExecutor(2) as pool:
        TimerTable(one).add([HOURLY], now=START)
        planned = list(
            pool.map(lambda store: backfill(store, "t", PRODUCTION, (START - 9 * HOUR, START), now=START), [one, other])
        )
    assert sorted(len(each.fire_times) for each in planned) == [0, 9]


def test_a_program_backfills_its_own_timers() -> None:
    """scheduler.backfill()."""
    functions = Registry()
    functions.define(list, name="f")
    with ManualScheduler(functions, now=START) as scheduler:
        scheduler.add(HOURLY)
        assert len(scheduler.backfill("t", START - 3 * HOUR, START).fire_times) == 3
        scheduler.advance(seconds=1)
        assert [(run.kind, run.outcome) for run in scheduler.runs()] == [("backfill", "succeeded")] * 3


SPAN = ("--from", "2026-01-05T08:00", "--to", "2026-01-05T11:00")


def test_the_command_requests_runs_and_prints_how_many(command_line: CommandLine) -> None:
    """First what it would do, then that it did, then nothing more to do; and back."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--cron", "0 0 * * * ?")
    dry = command_line.run("timers", "backfill", "t", *SPAN, "--dry-run")
    assert dry.stdout.splitlines() == [
        "2026-01-05 08:00:00+08:00",
        "2026-01-05 09:00:00+08:00",
        "2026-01-05 10:00:00+08:00",
        "would request 3 runs of t",
    ]
    assert command_line.json("runs") == []
    done = command_line.run("timers", "backfill", "t", *SPAN)
    assert done.stdout.startswith("requested 3 runs of t, 2026-01-05 08:00:00+08:00 to 2026-01-05 10:00:00+08:00; ")
    assert "no daemon runs on this store" in done.stderr
    assert [run["kind"] for run in command_line.json("runs")] == ["backfill"] * 3
    again = command_line.json("timers", "backfill", "t", *SPAN)
    assert (again["fire_times"], again["have_run"], again["entered"]) == ([], 3, True)
    assert command_line.json("timers", "backfill", "t", "--cancel") == {"cancelled": 3}


def test_one_run_and_none_are_printed_as_such(command_line: CommandLine) -> None:
    """One run has one instant; fire times with a run are counted; a span without fire times says why."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--cron", "0 0 8 * * ?")
    command_line.run("timers", "add", "often", "--function", "hello", "--every", "10")
    (once,) = command_line.run("timers", "backfill", "t", *SPAN).stdout.splitlines()
    assert once.startswith("requested 1 run of t, 2026-01-05 08:00:00+08:00; show it with:  ")
    assert command_line.run("timers", "backfill", "t", *SPAN).stdout.splitlines() == [
        "requested 0 runs of t",
        "1 fire time of the time span has run already, or will soon",
    ]
    said = command_line.run("timers", "backfill", "often", *SPAN).stdout.splitlines()
    assert said[0] == "requested 0 runs of often"
    assert said[1].startswith("every 10 s has no fire time in the time span; it is counted from ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give either the beginning of the time span, as in --from 2026-01-05T00:00, or --cancel"),
        (("--from", "2026-01-05", "--cancel"), "give either the beginning of the time span"),
        (("--from", "2026-01-05", "--to", "2098-01-05"), "a backfill must end in the past; 2098-01-05T00:00:00+08:00"),
        (("--from", "soon"), "'soon' is not a time"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "ends before it begins"),
        (("--from", "2098-01-01"), "the span from 2098-01-01T00:00:00+08:00 to "),
        (
            (*SPAN, "--limit", "2"),
            "3 fire times of the span have no run, and 2 are entered at once; narrow it to end",
        ),
    ],
)
def test_an_invalid_command_is_refused(words: tuple[str, ...], message: str, command_line: CommandLine) -> None:
    """One message."""
    command_line.run("timers", "add", "t", "--function", "hello", "--cron", "0 0 * * * ?")
    assert message in command_line.refusal("timers", "backfill", "t", *words)
