"""Chains of timers as values: names, and circles."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.chains import check_circle
from scheduler.core.timer import Timer
from scheduler.core.timer_checks import read_then, then_text
from scheduler.core.triggers import Every
from scheduler.errors import TimerError

NAMES = st.text('ab, []"é-', min_size=1, max_size=4)


def timer(then: object) -> Timer:
    return Timer(name="t", function="f", trigger=Every(60), then=then)  # type: ignore[arg-type]


def test_names_are_kept_in_their_order() -> None:
    """Each once; a text alone is one name."""
    assert timer(["b", "a", "b"]).then == ("b", "a")
    assert timer("load, too").then == ("load, too",)
    assert timer(()).then == ()


@given(names=st.lists(NAMES.filter(str.strip), max_size=4, unique=True))
def test_the_text_of_names_is_read_as_the_same_names(names: list[str]) -> None:
    """Even where they contain commas, brackets and blanks."""
    assert read_then(then_text(tuple(names))) == tuple(names)


@pytest.mark.parametrize("then", [3, [3], [""], ["a\n"], [f"t{n}" for n in range(21)], ["t"], "t"])
def test_what_is_no_list_of_other_timers_is_refused(then: object) -> None:
    """The error is about `then`."""
    with pytest.raises(TimerError) as error:
        timer(then)
    assert error.value.field == "then"


@given(
    followers=st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)),
    name=st.sampled_from("abcdef"),
)
def test_a_circle_is_found_exactly_where_there_is_one(followers: dict[str, list[str]], name: str) -> None:
    """As by following every way; the message shows a way that exists."""
    reached, to_visit = set(), [name]
    while to_visit:
        new = set(followers.get(to_visit.pop(), ())) - reached
        reached |= new
        to_visit += new
    if name not in reached:
        check_circle(name, followers)
        return
    with pytest.raises(TimerError, match="in a circle: ") as error:
        check_circle(name, followers)
    way = str(error.value).partition(": ")[2].split(" → ")
    assert (way[0], way[-1]) == (name, name)
    assert all(follower in followers[leader] for leader, follower in pairwise(way))


def test_a_long_circle_is_not_shown_in_full() -> None:
    """Only its beginning and end."""
    names = [f"t{n}" for n in range(500)]
    followers: dict[str, Sequence[str]] = {name: [names[(n + 1) % 500]] for n, name in enumerate(names)}
    with pytest.raises(TimerError) as error:
        check_circle("t0", followers)
    assert len(str(error.value)) < 200
    assert "t0 → t1" in str(error.value)
    assert str(error.value).endswith("t499 → t0")
