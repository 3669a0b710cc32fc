"""The oracle finds every kind of loss and doubling in histories that are written by hand; plans can be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from scheduler.core.timer import Delivery
from tests.scheduler.chaos.oracle import Account, Note, Row, compare
from tests.scheduler.chaos.plan import Fault, Range, drawn, shortened
from tests.scheduler.chaos.soak import slope
from tests.scheduler.chaos.timetable import ON_WORKING_DAYS, Grid, Paused, Phase, Timetable

SECOND = 1_000_000
T = 1_795_000_000 * SECOND
PHASE = Phase("t", Grid(1, T), T, T)
#: Six seconds, of which the first counts for nothing: a change may still be on its way.
HORIZON = T + 6 * SECOND


def row(second: int, outcome: str | None = "succeeded", *, last: int | None = None, **more: object) -> Row:
    last = second if last is None else last
    made = Row(second, "t", "scheduled", T + second * SECOND, T + last * SECOND, last - second + 1, 1, outcome, 1)
    return made._replace(**more)  # type: ignore[arg-type]


def notes(*seconds: int, attempt: int = 1) -> list[Note]:
    return [Note(word, "t", T + second * SECOND, attempt, 0, 1) for second in seconds for word in ("begin", "end")]


def account(
    rows: Sequence[Row],
    written: Sequence[Note],
    *phases: Phase,
    delivery: Delivery = Delivery.AT_MOST_ONCE,
    requested: int = 0,
) -> Account:
    timetable = Timetable(list(phases or [PHASE]), {"t": delivery}, {"t": requested})
    return compare(timetable, rows, written, horizon={"t": HORIZON})


RIGHT = [row(1), row(2), row(3), row(4, "misfired", last=5), row(6)]
RIGHT_NOTES = notes(1, 2, 3, 6)


def test_a_right_history_has_no_finding() -> None:
    """Also one in which a row stands for several fire times."""
    result = account(RIGHT, RIGHT_NOTES)
    assert result.findings == []
    assert (result.due, result.begun, result.passed_over) == (5, 4, 2)


@pytest.mark.parametrize(
    ("rows", "written", "rule"),
    [
        ([*RIGHT[:2], *RIGHT[3:]], notes(1, 2, 6), "due and in no row"),
        ([*RIGHT, row(2, "skipped_overlap", id=9)], RIGHT_NOTES, "in two rows"),
        (RIGHT, [*RIGHT_NOTES, *notes(3)], "begun twice"),
        ([*RIGHT, row(3, attempt=2)], [*RIGHT_NOTES, *notes(3, attempt=2)], "begun twice"),
        (
            [*RIGHT, row(3, attempt=2)],
            [*RIGHT_NOTES, *notes(3, attempt=2)],
            "tried again, although it was not abandoned",
        ),
        (RIGHT, notes(1, 2, 6), "succeeded, but never begun"),
        (RIGHT, RIGHT_NOTES[:-1], "succeeded, but never ended"),
        (RIGHT, [*RIGHT_NOTES, *notes(4)], "begun without a row"),
        (RIGHT, [*RIGHT_NOTES, *notes(7)], "begun without a row"),
        ([*RIGHT, row(7, fire_at=T + 7)], [*RIGHT_NOTES], "in a row, but never due"),
        (
            [*RIGHT[:3], row(4, "misfired", last=5, covers=3), row(6)],
            RIGHT_NOTES,
            "in a row that counts 3 instead of 2",
        ),
        ([*RIGHT[:2], row(3, None), *RIGHT[3:]], RIGHT_NOTES, "still claimed, although every daemon has ended"),
        ([*RIGHT, row(2, kind="manual")], RIGHT_NOTES, "requested 0 to 0 times, but entered 1 times"),
    ],
)
def test_each_wrong_history_is_found(rows: list[Row], written: list[Note], rule: str) -> None:
    """By the rule that it breaks."""
    assert any(rule in finding.rule for finding in account(rows, written).findings)


def test_an_abandoned_run_may_be_begun_again_where_delivery_is_at_least_once() -> None:
    """In a further attempt, which is a row of its own."""
    rows = [row(1), row(2), row(3, "abandoned"), row(3, attempt=2, id=9), row(4, "misfired", last=5), row(6)]
    written = [*RIGHT_NOTES, *notes(3, attempt=2)]
    assert account(rows, written, delivery=Delivery.AT_LEAST_ONCE).findings == []
    assert {finding.rule for finding in account(rows, written).findings} == {"begun twice"}


@pytest.mark.parametrize(
    ("rows", "written", "cancelled", "rule"),
    [
        ([row(1), row(2), row(3, "cancelled")], notes(1, 2), {}, "cancelled, although nobody asked for that"),
        ([row(1), row(2), row(3, "cancelled")], notes(1, 2, 3), {3: True}, "cancelled while it waited, and begun"),
        ([row(1), row(2), row(3)], notes(1, 2, 3), {3: True}, "cancelled while it waited, and begun"),
        ([row(1), row(2), row(3, "abandoned"), row(3, attempt=2, id=9)], notes(1, 2), {3: False}, "tried again"),
        ([row(1), row(2)], notes(1, 2), {3: False}, "run 3 was cancelled, and is in no row"),
    ],
)
def test_a_cancelled_run_that_goes_on_is_found(
    rows: list[Row], written: list[Note], cancelled: dict[int, bool], rule: str
) -> None:
    """Cancelled while it waited, it does not begin; whenever it was cancelled, nothing follows it."""
    found = compare(_timetable(cancelled=cancelled), rows, written, horizon={"t": T}).findings
    assert any(rule in finding.rule for finding in found)


def test_a_cancelled_run_has_ended_or_was_begun_before() -> None:
    """Each of these is right: one that waited, one that was killed, one that ended first, one that was lost."""
    rows = [row(1, "cancelled"), row(2, "cancelled"), row(3), row(4, "abandoned")]
    timetable = _timetable(cancelled={1: True, 2: False, 3: False}, perhaps_cancelled={4})
    assert compare(timetable, rows, notes(2, 3), horizon={"t": T}).findings == []


def test_what_begins_while_it_is_paused_is_found() -> None:
    """Not what may have been claimed before, what begins when the pause has ended, and what was not paused."""
    timetable = _timetable(paused=[Paused(T + 2 * SECOND, T + 6 * SECOND)])
    for timer, second, at, is_wrong in (
        ("eager", 4, 4, True),
        ("eager", 3, 4, False),
        ("eager", 4, 6, False),
        ("plain", 4, 4, False),
    ):
        begun = [Note("begin", timer, T + second * SECOND, 1, T + at * SECOND, 1)]
        timetable.deliveries[timer] = Delivery.AT_MOST_ONCE
        found = {finding.rule for finding in compare(timetable, [], begun, horizon={"t": T}).findings}
        assert ("begun while it was paused" in found) is is_wrong


def _timetable(**known: Any) -> Timetable:
    return Timetable([PHASE], {"t": Delivery.AT_MOST_ONCE}, {"t": 0}, **known)


def test_what_was_not_claimed_when_the_timer_was_changed_is_due_no_more() -> None:
    """But there is no gap before that."""
    ended = replace(PHASE, ending=T + 5 * SECOND, ended=T + 5 * SECOND)
    assert account([row(1), row(2), row(3)], notes(1, 2, 3), ended).findings == []
    gap = account([row(1), row(2), row(4)], notes(1, 2, 4), ended).findings
    assert [(finding.rule, finding.fire_at) for finding in gap] == [("due and in no row", T + 3 * SECOND)]
    late = account([row(1), row(2), row(3), row(8)], notes(1, 2, 3, 8), ended).findings
    assert [finding.rule for finding in late] == ["in a row, but never due"]


@pytest.mark.parametrize(("step", "expected"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (3, [3])])
def test_fire_times_by_the_calendar_are_those_of_dateutil(step: int, expected: list[int]) -> None:
    """The instant after which they are counted is excluded, the last one is included."""
    minute = T // (60 * SECOND) * 60 * SECOND
    fires = Grid(step).between(minute, minute + 5 * SECOND)
    assert [(at - minute) // SECOND for at in fires] == expected


KINDS = {"a": Range(0.1, 1.0), "b": Range(1.0, 2.0, "server"), "c": Range(0.5, 1.0, "life", True)}


def test_a_seed_draws_the_same_faults_again() -> None:
    """All end in time, and no resource is broken twice at once."""
    planned = drawn(7, KINDS, seconds=20, targets=2, per_second=3)
    assert planned == drawn(7, KINDS, seconds=20, targets=2, per_second=3)
    assert planned != drawn(8, KINDS, seconds=20, targets=2, per_second=3)
    assert {fault.kind for fault in planned} == set(KINDS)
    assert max(fault.at_s + fault.lasts_s for fault in planned) <= 20
    of_server = [fault for fault in planned if fault.kind == "b"]
    assert all(one.at_s + one.lasts_s < other.at_s for one, other in pairwise(of_server))


def test_a_plan_is_shortened_to_the_faults_that_matter() -> None:
    """In a bounded number of tries."""
    planned = drawn(7, KINDS, seconds=20, targets=2, per_second=3)
    tried: list[int] = []

    def fails(some: Sequence[Fault]) -> bool:
        tried.append(len(some))
        return {3, 11} <= {fault.number for fault in some}

    assert [fault.number for fault in shortened(planned, fails, tries=200)] == [3, 11]
    tried.clear()
    shortened(planned, fails, tries=5)
    assert len(tried) == 5


def test_the_slope_of_samples_is_that_of_least_squares() -> None:
    """A single sample has none."""
    assert slope([(0, 1), (1, 2), (2, 2), (3, 5)]) == pytest.approx(1.2)
    assert slope([(3, 5)]) == 0


@pytest.mark.parametrize("count", [4, 6])
def test_a_timer_with_too_many_runs_or_too_few_is_found(count: int) -> None:
    """Exactly so many scheduled runs where it is finished; until then, no more."""
    rows = [row(second) for second in range(1, count + 1)]
    timetable = _timetable(most_runs={"t": 5}, finished={"t"})
    found = compare(timetable, rows, notes(*range(1, count + 1)), horizon={"t": T}).findings
    assert [finding.rule for finding in found] == [f"has {count} runs, and is to have 5"]
    timetable.finished.clear()
    found = compare(timetable, rows, notes(*range(1, count + 1)), horizon={"t": T}).findings
    assert [finding.rule for finding in found] == ([] if count == 4 else ["has 6 runs, and is to have 5"])


def test_a_window_ends() -> None:
    """Nothing is due from its end on, by any grid."""
    assert Grid(1, T, before=T + 3 * SECOND).between(T, T + 9 * SECOND) == [T + SECOND, T + 2 * SECOND]
    assert Grid(2, also=3).between(T, T + 6 * SECOND) == [
        at for at in range(T + SECOND, T + 7 * SECOND, SECOND) if at // SECOND % 2 == 0 or at // SECOND % 3 == 0
    ]


def test_a_row_of_a_changed_calendar_may_span_the_change() -> None:
    """What was due before it and claimed after it is counted by the calendar as it is then."""
    timer = ON_WORKING_DAYS
    first = Phase(timer, Grid(1), T, T, T + 3 * SECOND, T + 3 * SECOND)
    second = Phase(timer, Grid(1), T + 5 * SECOND, T + 5 * SECOND)
    spans = [row(2, "misfired", last=8, timer=timer)]
    timetable = Timetable([first, second], {timer: Delivery.AT_MOST_ONCE})
    assert compare(timetable, spans, [], horizon={timer: T + 8 * SECOND}).findings == []
    lost = compare(timetable, [row(2, "misfired", last=2, timer=timer)], [], horizon={timer: T + 8 * SECOND}).findings
    assert {finding.rule for finding in lost} == {"due and in no row"}
