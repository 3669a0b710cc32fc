"""Which children of a pool stand still, by what looks at the pool show."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.fleet.silent_children import SILENT_LOOKS, STARTING_LOOKS, Look, Silent, SilentChildren

NOBODY = Silent(frozenset())


def look(idle: Mapping[int, int], *untaken: int, reader: int | None = None, writer: int | None = None) -> Look:
    return Look(idle, frozenset(untaken), reader, writer)


def judged(*looks: Look) -> Silent:
    """What is judged after the last of these looks."""
    children = SilentChildren()
    return [children.after(each) for each in looks][-1]


def test_a_child_that_does_nothing_while_a_task_waits_stands_still() -> None:
    """After SILENT_LOOKS further looks, whether or not it has a lock; never while no task waits."""
    waits = look({1: 3}, 70)
    assert judged(*[waits] * SILENT_LOOKS) == NOBODY
    assert judged(*[waits] * (SILENT_LOOKS + 1)) == Silent(frozenset({1}))
    assert judged(*[look({1: 3})] * 100) == NOBODY


def test_a_child_that_finishes_messages_does_not_stand_still() -> None:
    """Neither do children of a busy pool, in which some task always waits, but never the same one."""
    assert judged(*[look({1: number}, 70) for number in range(100)]) == NOBODY
    assert judged(*[look({1: 3}, number) for number in range(100)]) == NOBODY


def test_the_child_that_is_about_to_read_is_killed_before_those_that_wait_for_it() -> None:
    """The others may be well."""
    assert judged(*[look({1: 3, 2: 5}, 70, reader=2)] * (SILENT_LOOKS + 1)) == Silent(frozenset({2}))
    assert judged(*[look({1: 3, 2: 5}, 70)] * (SILENT_LOOKS + 1)) == Silent(frozenset({1, 2}))


def test_a_child_that_keeps_others_from_answering_is_killed_whether_a_task_waits_or_not() -> None:
    """It may have answered itself, so it is neither at work nor idle; what others have read is theirs."""
    waits = look({1: 3}, 70, writer=2)
    assert judged(*[waits] * (SILENT_LOOKS + 1)) == Silent(frozenset({2}), with_tasks=False)
    assert judged(*[look({}, writer=2)] * (SILENT_LOOKS + 1)) == Silent(frozenset({2}), with_tasks=False)
    assert judged(*[look({}, writer=2 + number % 2) for number in range(100)]) == NOBODY


def test_a_child_that_starts_has_longer() -> None:
    """It may wait for the store; but not one that has begun to read."""
    starts = look({1: 0}, 70)
    assert judged(*[starts] * STARTING_LOOKS) == NOBODY
    assert judged(*[starts] * (STARTING_LOOKS + 1)) == Silent(frozenset({1}))
    assert judged(*[look({1: 0}, 70, reader=1)] * (SILENT_LOOKS + 1)) == Silent(frozenset({1}))
