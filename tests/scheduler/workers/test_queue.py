"""Tasks of fast functions come before those of slow ones; none is lost, doubled or held up for ever."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.run import Kind, Task
from scheduler.workers.protocol import CHUNK_BYTES, CHUNK_TASKS
from scheduler.workers.queue import SLOW_WAITS_S, TaskQueue

EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def task(number: int, function: str, params: str = "{}") -> Task:
    return Task(number, 1, "t", function, "production", params, 15.0, Kind.SCHEDULED, EIGHT, 1, "r", False)


#: How long functions take, in seconds.
TYPICAL = {"fast": 0.001, "slow": 0.1, "long": 1.0}


def numbers(tasks: list[Task]) -> list[int]:
    return [each.run_id for each in tasks]


def test_fast_tasks_go_before_slow_ones_each_in_their_order() -> None:
    """Whatever the order in which they were added."""
    queue = TaskQueue(TYPICAL.get)
    queue.add([task(1, "slow"), task(2, "fast"), task(3, "slow"), task(4, "fast")], 0.0)
    assert [numbers(queue.take(0.0, sharing=1)) for _ in range(4)] == [[2, 4], [1], [3], []]


def test_very_fast_tasks_are_not_divided_among_workers() -> None:
    """Ten times 20 µs are over before another worker is awake. A hundred of them are divided."""
    queue = TaskQueue({"quick": 0.00002, "fast": 0.001}.get)
    queue.add([task(n, "quick") for n in range(10)] + [task(n, "fast") for n in range(10, 14)], 0.0)
    assert [numbers(queue.take(0.0, sharing=2)) for _ in range(3)] == [list(range(10)), [10, 11], [12]]
    assert numbers(queue.take(0.0, sharing=1)) == [13]
    queue.add([task(n, "fast") for n in range(4)] + [task(n, "quick") for n in range(4, 100)], 0.0)
    assert [len(queue.take(0.0, sharing=sharing)) for sharing in (2, 2, 1)] == [50, 25, 25]


def test_a_slow_task_waits_a_second_at_most_for_fast_ones() -> None:
    """Then it is taken, and the next one after another second."""
    queue = TaskQueue(TYPICAL.get)
    queue.add([task(n, "slow") for n in (1, 2)] + [task(n, "fast") for n in range(10, 400)], 5.0)
    assert numbers(queue.take(5.0 + SLOW_WAITS_S, sharing=100)) == [1]
    assert numbers(queue.take(5.0 + SLOW_WAITS_S, sharing=100)) == [10, 11, 12, 13]
    assert numbers(queue.take(5.0 + 2 * SLOW_WAITS_S, sharing=1)) == [2]


def test_long_tasks_come_last_and_leave_the_last_worker_to_others() -> None:
    """The slow task behind it does not wait for it."""
    queue = TaskQueue(TYPICAL.get)
    queue.add([task(1, "long"), task(2, "long"), task(3, "slow"), task(4, "fast")], 0.0)
    assert queue.long == 2
    assert [numbers(queue.take_unless_long(0.0, sharing=1)) for _ in range(3)] == [[4], [3], []]
    assert [numbers(queue.take(0.0, sharing=1)) for _ in range(3)] == [[1], [2], []]


def test_a_long_task_waits_a_second_at_most_for_another_worker() -> None:
    """Then it gets the last one, before the fast tasks."""
    queue = TaskQueue(TYPICAL.get)
    queue.add([task(1, "long"), task(2, "long"), task(3, "fast")], 5.0)
    assert numbers(queue.take_unless_long(5.0 + SLOW_WAITS_S, sharing=1)) == [1]
    assert numbers(queue.take_unless_long(5.0 + SLOW_WAITS_S, sharing=1)) == [3]
    assert numbers(queue.take_unless_long(5.0 + SLOW_WAITS_S, sharing=1)) == []
    assert numbers(queue.take_unless_long(5.0 + 2 * SLOW_WAITS_S, sharing=1)) == [2]


def test_a_waiting_task_whose_function_turns_out_to_be_long_comes_last() -> None:
    """Its class is decided when it is taken, not when it is added."""
    known = {**TYPICAL}
    queue = TaskQueue(known.get)
    queue.add([task(1, "new"), task(2, "slow")], 0.0)
    known["new"] = 1.0
    assert [numbers(queue.take(0.0, sharing=1)) for _ in range(2)] == [[2], [1]]


def test_tasks_that_are_put_back_come_first_again() -> None:
    """In its old order."""
    queue = TaskQueue(TYPICAL.get)
    queue.add([task(n, "fast") for n in range(6)], 0.0)
    taken = queue.take(0.0, sharing=2)
    queue.put_back(taken)
    assert numbers(queue.take(0.0, sharing=1)) == list(range(6))


def test_waiting_tasks_are_taken_together_once_their_function_is_known_to_be_fast() -> None:
    """Otherwise ten thousand of an unknown function would go to the workers one by one."""
    known: dict[str, float] = {}
    queue = TaskQueue(known.get)
    queue.add([task(n, "new") for n in range(6)], 0.0)
    assert numbers(queue.take(0.0, sharing=1)) == [0]
    known["new"] = 0.001
    assert queue.has_fast_next(0.0)
    assert numbers(queue.take(0.0, sharing=1)) == [1, 2, 3, 4, 5]


@given(
    st.lists(st.tuples(st.sampled_from(["fast", "slow", "long"]), st.integers(0, CHUNK_BYTES * 2)), max_size=40),
    st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.floats(0, 3))),
)
def test_every_task_is_taken_once(kinds: list[tuple[str, int]], turns: list[tuple[int, bool, float]]) -> None:
    """By however many workers, put back or not; and tasks that are taken together fit into a message."""
    queue = TaskQueue(TYPICAL.get)
    queue.add([task(number, kind, "x" * size) for number, (kind, size) in enumerate(kinds)], 0.0)
    begun: list[int] = []
    now = 0.0
    for sharing, returns, later in [*turns, *[(1, False, 0.0)] * len(kinds)]:
        now += later
        taken = queue.take(now, sharing=sharing)
        assert len(taken) <= CHUNK_TASKS
        assert len(taken) <= 1 or sum(len(each.params) for each in taken) <= CHUNK_BYTES
        if returns:
            queue.put_back(taken)
        else:
            begun += numbers(taken)
    assert len(queue) == 0
    assert sorted(begun) == list(range(len(kinds)))
