"""Every due fire time of an enabled timer ends as exactly one row with an outcome, whatever happens to the daemon."""

from collections import Counter
from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scheduler.claims.abandoned_runs import MAX_ATTEMPTS
from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import backfill, plan_backfill
from scheduler.clock import ManualClock
from scheduler.core.chains import LEADING, ThenOn
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Kind, Outcome, Run, Task
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Cron, Every, Trigger
from scheduler.daemon.loop import Daemon
from scheduler.errors import TimerError
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.scripted_service import (
    FAILURE,
    REFUSAL,
    START,
    SUCCESS,
    TIME_OUT,
    ScriptedExecutor,
    empty,
    kill,
    settle,
)

TRIGGERS: dict[str, Every | Cron] = {"quick": Every(1), "slow": Every(7), "cron": Cron("0/9 * * * * ?", "UTC")}
JITTERS = {"quick": 0, "slow": 7, "cron": 6}
ENDINGS = st.sampled_from([SUCCESS, SUCCESS, FAILURE, REFUSAL, TIME_OUT, None])


class AnyDay(RuleBasedStateMachine):
    """Three timers; time passes, functions end or go on, the daemon is killed and started, timers are switched."""

    def __init__(self, store_url: str) -> None:
        super().__init__()
        self.store_url = store_url

    @initialize(
        misfire=st.sampled_from(MisfirePolicy),
        overlap=st.sampled_from(OverlapPolicy),
        delivery=st.sampled_from(Delivery),
        jitters=st.booleans(),
        retries=st.sampled_from([0, 0, 2]),
        max_concurrent=st.sampled_from([0, 0, 1, 2]),
        catch_up_s=st.sampled_from([0.0, 0.0, 10.0]),
        then_on=st.sampled_from(ThenOn),
        window=st.sampled_from([(None, None), (None, None), (2, 40), (9, None), (None, 15.5), (3, 40)]),
    )
    def start(
        self,
        misfire: MisfirePolicy,
        overlap: OverlapPolicy,
        delivery: Delivery,
        jitters: bool,
        retries: int,
        max_concurrent: int,
        catch_up_s: float,
        then_on: ThenOn,
        window: tuple[float | None, float | None],
    ) -> None:
        self.clock = ManualClock(START)
        self.store = Store(self.store_url)
        empty(self.store)
        self.timetable = TimerTable(self.store)
        self.ending = SUCCESS
        self.delivery = delivery
        self.retries = retries
        self.expected: Counter[tuple[str, datetime]] = Counter()
        self.enabled_at: dict[str, datetime] = {}
        self.claimed_ahead: set[tuple[str, datetime]] = set()
        #: The runs that were cancelled, and the last run of the store then.
        self.cancelled: dict[int, int] = {}
        self.must_not_begin: set[int] = set()
        self.then_on = then_on
        # Follows `quick`, and fires by itself only if it is enabled, which it never is.
        after = Timer(name="after", function="f", trigger=Every(5), overlap=overlap, retries=retries, retry_backoff_s=1)
        self.timetable.add([after], now=self.clock.now())
        starts_at, ends_at = (None if bound is None else START + timedelta(seconds=bound) for bound in window)
        self.timetable.add(
            [
                Timer(
                    name=name,
                    function="f",
                    trigger=trigger,
                    misfire=misfire,
                    overlap=overlap,
                    delivery=delivery,
                    breaker_threshold=3,
                    jitter_s=JITTERS[name] if jitters else 0,
                    retries=retries,
                    retry_backoff_s=1.5,
                    starts_at=starts_at,
                    ends_at=ends_at,
                    max_concurrent=max_concurrent,
                    catch_up_s=catch_up_s,
                    then=["after"] if name == "quick" else (),
                    then_on=then_on,
                )
                for name, trigger in TRIGGERS.items()
            ],
            now=self.clock.now(),
        )
        self.daemon: Daemon | None = None
        self.start_daemon()
        for name in TRIGGERS:
            self.enable(name)

    def start_daemon(self) -> None:
        self.executor = ScriptedExecutor(self.clock, lambda _: self.ending)
        self.daemon = Daemon(
            self.store, {Environment.PRODUCTION: self.executor}, clock=self.clock, grace=timedelta(seconds=2)
        )

    def enable(self, name: str) -> None:
        timer = self.timetable.get(name).timer.anchored(self.clock.now())
        # A fire time may be claimed a moment before it comes, and does not come twice.
        claimed = [run.last_fire_time for run in RunHistory(self.store).runs(limit=100_000) if run.timer == name]
        if timer.schedule.next_fire(max([self.clock.now(), *claimed])) is None:
            # Its window is over.
            with pytest.raises(TimerError, match="never fires after"):
                self.timetable.enable(name, now=self.clock.now())
            return
        self.timetable.enable(name, now=self.clock.now())
        self.enabled_at[name] = self.clock.now()

    def expect_until(self, now: datetime) -> None:
        for name, since in self.enabled_at.items():
            schedule = self.timetable.get(name).timer.schedule
            fire_time = schedule.next_fire(since)
            while fire_time is not None and fire_time <= now:
                self.expected[name, fire_time] = 1
                fire_time = schedule.next_fire(fire_time)
            self.enabled_at[name] = max(since, now)

    def fire_times(self, run: Run) -> list[datetime]:
        """The fire times from a row's first to its last; an interval may have had another anchor then."""
        trigger = TRIGGERS[run.timer]
        schedule: Trigger = self.timetable.get(run.timer).timer.schedule
        if isinstance(trigger, Every):
            schedule = Every(trigger.seconds, anchor=run.fire_time - timedelta(seconds=trigger.seconds))
        fire_times = [run.fire_time]
        while fire_times[-1] < run.last_fire_time:
            fire_times.append(schedule.next_fire(fire_times[-1]))
        return fire_times

    @rule(seconds=st.one_of(st.floats(0.1, 3), st.integers(1, 20)), ending=ENDINGS)
    def time_passes_with_the_daemon(self, seconds: float, ending: object) -> None:
        """The daemon takes its turns at the end only: it was busy in between."""
        if self.daemon is None:
            self.start_daemon()
        self.ending = ending
        self.clock.advance(seconds)
        self.settle()

    @precondition(lambda self: self.daemon and self.daemon.next_due)
    @rule(seconds=st.sampled_from([0.001, 0.003]))
    def a_fire_time_is_about_to_come(self, seconds: float) -> None:
        """What is due then has been claimed; what happens next comes between claim and fire time."""
        due = self.daemon.next_due - timedelta(seconds=seconds)
        if due > self.clock.now():
            self.clock.advance_to(due)
            self.settle()

    def settle(self) -> None:
        """Let the daemon take turns until it has nothing more to do at this instant."""
        self.daemon.wake()  # PostgreSQL's notification may still be on its way
        settle(self.daemon)
        self.expect_until(self.clock.now())

    @rule(seconds=st.integers(1, 300))
    def the_daemon_is_killed(self, seconds: int) -> None:
        """Without any cleanup: runs in progress are lost with the process."""
        if self.daemon is not None:
            kill(self.daemon, self.store)
        self.daemon = None
        self.clock.advance(seconds)

    @precondition(lambda self: self.daemon and self.executor.going_on)
    @rule(ending=st.sampled_from([SUCCESS, FAILURE]), data=st.data())
    def a_run_ends(self, ending: tuple, data: st.DataObject) -> None:
        self.executor.end(data.draw(st.sampled_from(self.executor.going_on)), *ending)
        self.settle()

    @precondition(lambda self: self.daemon)
    @rule(name=st.sampled_from(sorted(TRIGGERS)))
    def a_timer_is_switched(self, name: str) -> None:
        self.settle()
        if name in self.enabled_at:
            self.timetable.disable(name)
            del self.enabled_at[name]
        else:
            self.enable(name)

    @rule(data=st.data())
    def a_run_is_cancelled(self, data: st.DataObject) -> None:
        """Whichever has no outcome, with or without a daemon that goes on."""
        history = RunHistory(self.store).runs(limit=100_000)
        if open_runs := [run for run in history if run.outcome is None]:
            run = data.draw(st.sampled_from(open_runs))
            request_cancel(self.store, run.id, now=self.clock.now())
            self.cancelled.setdefault(run.id, history[0].id)
            if self.daemon is None or run.id not in {task.run_id for task in self.executor.begun}:
                # Without a daemon, no other process can find out whether it had begun.
                self.must_not_begin.add(run.id)

    @precondition(lambda self: self.daemon and self.cancelled)
    @invariant()
    def what_was_cancelled_ends_and_never_begins_again(self) -> None:
        """As cancelled, or as it had ended before the daemon knew; no attempt at its fire time follows.

        While many runs go on, the daemon holds the ending of a run back, too, for a quarter of a second.
        """
        self.settle()
        if self.daemon._results.ended:
            self.clock.advance(0.3)
            self.settle()
        history = RunHistory(self.store).runs(limit=100_000)
        by_id = {run.id: run for run in history}
        for run_id, last_id in self.cancelled.items():
            run = by_id[run_id]
            assert run.outcome is not None, run
            # A backfill of a fire time is another matter.
            after = [other for other in history if other.id > last_id and other.kind is not Kind.BACKFILL]
            same = [other for other in after if (other.timer, other.fire_time) == (run.timer, run.fire_time)]
            assert [other for other in same if other.cause_id == run.cause_id] == []
        begun = Counter(task.run_id for task in self.executor.begun)
        assert not self.must_not_begin & begun.keys()

    @rule(seconds=st.integers(1, 30), skip=st.booleans(), ends_by_itself=st.booleans())
    def everything_is_paused(self, seconds: int, skip: bool, ends_by_itself: bool) -> None:
        """No daemon claims anything meanwhile; then everything is accounted for, whether it was skipped or not."""
        if self.daemon is not None:
            self.settle()
        now = self.clock.now()
        claimed_ahead = {run.id for run in RunHistory(self.store).runs(limit=100_000)}
        pauses = PauseTable(self.store)
        pauses.pause(now=now, until=now + timedelta(seconds=seconds) if ends_by_itself else None)
        for part in (0.001, 0.5):
            self.clock.advance(seconds * part)
            if self.daemon is not None:
                self.daemon.wake()
                settle(self.daemon)
        claimed = [run for run in RunHistory(self.store).runs(limit=100_000) if run.id not in claimed_ahead]
        assert [run for run in claimed if run.kind is Kind.SCHEDULED and run.attempt == 1] == []
        self.clock.advance(seconds * 0.5)
        if not ends_by_itself:
            pauses.resume(now=self.clock.now(), skip=skip)
        if self.daemon is not None:
            self.settle()

    @precondition(lambda self: self.daemon)
    @rule(name=st.sampled_from(sorted(TRIGGERS)))
    def the_past_is_backfilled(self, name: str) -> None:
        """Each missing fire time is entered once."""
        self.settle()
        now = self.clock.now()
        backfill(self.store, name, Environment.PRODUCTION, (START, now), now=now, cap=10_000)
        assert plan_backfill(self.store, name, Environment.PRODUCTION, (START, now), now=now).fire_times == ()
        self.settle()

    @precondition(lambda self: self.daemon)
    @invariant()
    def every_due_fire_time_stands_in_exactly_one_row(self) -> None:
        """Rows that coalesce count as many fire times as they say; other attempts and backfilled runs are beside it."""
        self.settle()
        found: Counter[tuple[str, datetime]] = Counter()
        for run in RunHistory(self.store).runs(limit=100_000):
            if run.attempt > 1 or run.kind is not Kind.SCHEDULED:
                continue
            fire_times = self.fire_times(run)
            assert run.count == len(fire_times)
            found.update((run.timer, fire_time) for fire_time in fire_times)
        assert {key: count for key, count in found.items() if count != 1} == {}
        # What is claimed ahead is not due yet; its timer may be disabled before it is.
        self.claimed_ahead |= {key for key in found if key[1] > self.clock.now()}
        assert set(self.expected) <= set(found)
        assert set(found) - set(self.expected) <= self.claimed_ahead

    @precondition(lambda self: self.daemon)
    @invariant()
    def a_fire_time_runs_at_most_as_often_as_was_promised(self) -> None:
        of_schedule = [task for task in self.executor.begun if task.kind is not Kind.CHAINED]
        begun: Counter[tuple[str, datetime]] = Counter((task.timer, task.fire_time) for task in of_schedule)
        most = MAX_ATTEMPTS if self.delivery is Delivery.AT_LEAST_ONCE else 1
        assert max(begun.values(), default=0) <= most + self.retries

    @precondition(lambda self: self.daemon and not self.daemon._results.ended)
    @invariant()
    def only_what_goes_on_or_waits_has_no_outcome(self) -> None:
        """A run may wait for another one of its timer; a backfilled one also for an attempt that is not due yet.

        While many runs go on, the daemon holds a result back for a quarter of a second, and may begin nothing else.
        """
        going_on = {task.run_id for task in self.executor.going_on}
        open_runs = [run for run in RunHistory(self.store).runs(limit=100_000) if run.outcome is None]
        not_due = [run for run in open_runs if run.due_at is not None and run.due_at > self.clock.now()]
        stand_by = [run for run in open_runs if run.fire_time > self.clock.now()]
        waited_for = {task.timer for task in self.executor.going_on} | {run.timer for run in stand_by}
        retried = {run.timer for run in not_due}
        for run in open_runs:
            if run.id not in going_on and run not in not_due and run not in stand_by:
                waits = run.timer in waited_for or (run.kind is Kind.BACKFILL and run.timer in retried)
                assert waits, f"{run} neither goes on nor waits for anything"

    @precondition(lambda self: self.daemon)
    @invariant()
    def each_last_attempt_that_ended_as_it_should_leads_to_one_run(self) -> None:
        """Neither none nor two; of what has not begun, or was cancelled, it may be none."""
        self.settle()
        history = RunHistory(self.store).runs(limit=100_000)
        led = Counter(run.cause_id for run in history if run.kind is Kind.CHAINED and run.attempt == 1)
        assert max(led.values(), default=0) <= 1
        attempts = {(run.timer, run.fire_time, run.kind, run.attempt) for run in history}
        for run in history:
            is_last = (run.timer, run.fire_time, run.kind, run.attempt + 1) not in attempts
            if run.timer == "quick" and run.outcome in LEADING[self.then_on] and run.is_claimed and is_last:
                assert led[run.id] == 1 or run.outcome is Outcome.CANCELLED, run
            else:
                # An attempt that does not begin any more stands for the failure before it.
                assert led[run.id] == 0 or (run.timer == "quick" and run.attempt > 1), run

    def teardown(self) -> None:
        if getattr(self, "daemon", None) is not None:
            kill(self.daemon, self.store)
        if hasattr(self, "store"):
            self.store.close()


def test_any_day_is_accounted_for(store_url: str) -> None:
    """Whatever happens; with fewer examples on PostgreSQL, which is slower."""
    days = 30 if store_url.startswith("sqlite") else 6
    run_state_machine_as_test(
        partial(AnyDay, store_url),
        settings=settings(max_examples=examples(days), stateful_step_count=20, deadline=None),
    )


def test_an_abandoned_run_is_run_again_where_it_must_be_delivered(store: Store, clock: ManualClock) -> None:
    """at_least_once: up to five attempts with the same fire time and request id."""
    TimerTable(store).add(
        [Timer(name="t", function="f", trigger=Every(3600), delivery=Delivery.AT_LEAST_ONCE, enabled=True)],
        now=clock.now(),
    )
    clock.advance(3600)
    begun: list[Task] = []
    for _ in range(8):
        executor = ScriptedExecutor(clock, lambda _: None)
        daemon = Daemon(store, {Environment.PRODUCTION: executor}, clock=clock)
        daemon.step()
        begun += executor.begun
        kill(daemon, store)
    assert [task.attempt for task in begun] == [1, 2, 3, 4, 5]
    assert len({task.request_id for task in begun}) == 1
    runs = RunHistory(store).runs()
    assert [run.outcome for run in runs] == [Outcome.ABANDONED] * 5
