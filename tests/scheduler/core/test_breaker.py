"""The breaker: its table row by row, and any history of a timer against a plain model."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scheduler.core.breaker import (
    CLOSED,
    DEFAULT_POLICY,
    Admission,
    Breaker,
    BreakerPolicy,
    BreakerState,
    Verdict,
    admit,
    after,
    lose_probe,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OPEN = Breaker(BreakerState.OPEN, 5, 1, NOON, NOON + MINUTE, "boom")
HALF_OPEN = replace(OPEN, state=BreakerState.HALF_OPEN)


def failed(times: int, *, policy: BreakerPolicy = DEFAULT_POLICY) -> Breaker:
    """A breaker after so many failures in a row, a second apart, beginning at noon."""
    state = CLOSED
    for number in range(times):
        state = after(state, Verdict.FAILURE, NOON + timedelta(seconds=number), error="boom", policy=policy)
    return state


@pytest.mark.parametrize(
    ("state", "verdict", "expected"),
    [
        (CLOSED, Verdict.GOOD, BreakerState.CLOSED),
        (CLOSED, Verdict.FAILURE, BreakerState.CLOSED),
        (CLOSED, Verdict.NEUTRAL, BreakerState.CLOSED),
        (CLOSED, Verdict.LOST, BreakerState.CLOSED),
        (replace(CLOSED, consecutive_failures=4), Verdict.FAILURE, BreakerState.OPEN),
        (OPEN, Verdict.GOOD, BreakerState.CLOSED),
        (OPEN, Verdict.FAILURE, BreakerState.OPEN),
        (OPEN, Verdict.NEUTRAL, BreakerState.OPEN),
        (HALF_OPEN, Verdict.GOOD, BreakerState.CLOSED),
        (HALF_OPEN, Verdict.FAILURE, BreakerState.OPEN),
        (HALF_OPEN, Verdict.NEUTRAL, BreakerState.CLOSED),
        (HALF_OPEN, Verdict.LOST, BreakerState.OPEN),
    ],
)
def test_every_state_and_verdict_lead_to_the_state_of_the_table(
    state: Breaker, verdict: Verdict, expected: BreakerState
) -> None:
    """The transition table of the module's first lines."""
    assert after(state, verdict, NOON).state is expected


def test_it_opens_after_five_failures_in_a_row() -> None:
    """Four failures keep it closed, the fifth opens it, and it keeps the last error."""
    assert failed(4).state is BreakerState.CLOSED
    opened = failed(5)
    assert (opened.state, opened.openings, opened.last_error) == (BreakerState.OPEN, 1, "boom")


def test_a_good_run_between_failures_starts_the_count_again() -> None:
    """Only failures in a row count."""
    assert failed(1, policy=BreakerPolicy()) == after(
        after(failed(4), Verdict.GOOD, NOON), Verdict.FAILURE, NOON, error="boom"
    )


def test_an_answer_with_an_error_for_the_caller_neither_counts_nor_forgives() -> None:
    """LeanEngineError leaves the count as it was."""
    assert after(failed(4), Verdict.NEUTRAL, NOON) == failed(4)


def test_threshold_zero_never_opens() -> None:
    """A breaker that is off only counts failures."""
    assert failed(500, policy=BreakerPolicy(threshold=0)).state is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("openings", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 480), (5, 900), (6, 900), (10**9, 900)]
)
def test_the_cool_down_doubles_up_to_fifteen_minutes(openings: int, seconds: int) -> None:
    """60 s × 2^(openings − 1), at most 900 s."""
    assert BreakerPolicy().cool_down_after(openings) == timedelta(seconds=seconds)


def test_the_cool_down_counts_from_the_scheduled_fire_time() -> None:
    """So a daily job that failed five days still runs on day six."""
    state = CLOSED
    for day in range(5):
        fire_time = NOON + timedelta(days=day)
        state, admission = admit(state, fire_time)
        assert admission is Admission.PASS
        state = after(state, Verdict.FAILURE, fire_time)
    assert state.state is BreakerState.OPEN
    assert admit(state, NOON + timedelta(days=5))[1] is Admission.PROBE


def test_the_first_fire_at_the_end_of_the_cool_down_is_the_single_probe() -> None:
    """Before the probe and while it runs, fires are short-circuited."""
    assert admit(OPEN, NOON + MINUTE - timedelta(microseconds=1)) == (OPEN, Admission.SHORT_CIRCUIT)
    probing, admission = admit(OPEN, NOON + MINUTE)
    assert (probing.state, admission) == (BreakerState.HALF_OPEN, Admission.PROBE)
    assert admit(probing, NOON + 2 * MINUTE) == (probing, Admission.SHORT_CIRCUIT)


def test_a_lost_probe_lets_the_next_fire_try() -> None:
    """A probe that was in flight when the daemon died counts as lost."""
    reopened = lose_probe(HALF_OPEN, NOON + 2 * MINUTE)
    assert admit(reopened, NOON + 2 * MINUTE)[1] is Admission.PROBE


class AnyHistory(RuleBasedStateMachine):
    """Fires come on schedule and succeed, fail or are lost; a plain model of counters says what must happen."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CLOSED
        self.now = NOON
        self.policy = BreakerPolicy(threshold=3)
        self.failures_in_a_row = 0
        self.openings = 0
        self.closed_until_fire: datetime | None = None
        self.probing = False

    @rule(
        seconds=st.integers(1, 2000),
        verdict=st.sampled_from([Verdict.GOOD, Verdict.FAILURE, Verdict.NEUTRAL, Verdict.LOST]),
    )
    def fire(self, seconds: int, verdict: Verdict) -> None:
        self.now += timedelta(seconds=seconds)
        self.breaker, admission = admit(self.breaker, self.now)
        if self.closed_until_fire is not None and self.now < self.closed_until_fire:
            assert admission is Admission.SHORT_CIRCUIT
            return
        assert admission is (Admission.PASS if self.closed_until_fire is None else Admission.PROBE)
        probe = admission is Admission.PROBE
        self.breaker = after(self.breaker, verdict, self.now, error="boom", policy=self.policy)
        self._expect(verdict, probe)

    def _expect(self, verdict: Verdict, probe: bool) -> None:
        if verdict is Verdict.GOOD or (probe and verdict is Verdict.NEUTRAL):
            self.failures_in_a_row, self.openings, self.closed_until_fire = 0, 0, None
        elif verdict is Verdict.FAILURE:
            self.failures_in_a_row += 1
            if probe or self.failures_in_a_row == 3:
                self.openings += 1
                cool_down = min(60 * 2 ** (self.openings - 1), 900)
                self.closed_until_fire = self.now + timedelta(seconds=cool_down)
        elif verdict is Verdict.LOST and probe:
            self.closed_until_fire = self.now

    @rule(good=st.booleans())
    def run_by_hand(self, good: bool) -> None:
        """A manual run passes an open breaker, and closes it when it is good."""
        if good:
            self.breaker = after(self.breaker, Verdict.GOOD, self.now, policy=self.policy)
            self._expect(Verdict.GOOD, False)

    @invariant()
    def is_closed_when_the_model_is(self) -> None:
        assert (self.breaker.state is BreakerState.CLOSED) == (self.closed_until_fire is None)
        assert self.breaker.openings == self.openings

    @invariant()
    def never_stays_half_open_between_fires(self) -> None:
        assert self.breaker.state is not BreakerState.HALF_OPEN


TestAnyHistory = AnyHistory.TestCase
