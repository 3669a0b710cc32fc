"""AnyOf: fires when any of its triggers does, and once where several do."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduler.core import union_count
from scheduler.core.any_of import AnyOf
from scheduler.core.fire_times import FireTimes
from scheduler.core.trigger_kinds import UnreadableTrigger, read_trigger
from scheduler.core.triggers import Cron, Every, Trigger
from scheduler.errors import TimerError
from tests.example_counts import examples
from tests.strategies import triggers

BEGIN = datetime(2026, 10, 24, 22, tzinfo=UTC)  # clocks go back in Berlin
MICROSECOND = timedelta(microseconds=1)


def fires(part: FireTimes, start: datetime, end: datetime) -> list[datetime]:
    """Its fire times in [start, end), one after the other."""
    found, at = [], start - MICROSECOND
    while (fire := part.next_fire(at)) is not None and fire < end:
        found.append(at := fire)
    return found


frequent = st.one_of(
    st.builds(
        Every,
        st.integers(1, 9),
        st.sampled_from([BEGIN - timedelta(days=2), BEGIN + timedelta(seconds=100, microseconds=3), BEGIN]),
    ),
    st.builds(
        Cron,
        st.sampled_from(["* * * * * ?", "*/2 * * * * ?", "3/7 0-30 * * * ?", "* * 2 * * ?"]),
        st.sampled_from(["Europe/Berlin", "UTC", "Australia/Lord_Howe"]),
        st.sampled_from(["vixie", "quartz"]),
    ),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(frequent, min_size=1, max_size=4), st.integers(0, 10**10), st.integers(0, 9_000), st.booleans())
def test_triggers_that_fire_often_are_counted_as_they_are_walked(
    parts: list[Trigger], offset: int, length: int, few: bool
) -> None:
    """Across midnight of UTC and a clock change; whether sparse ones are walked or all are counted by days."""
    start = BEGIN + timedelta(microseconds=offset)
    end = start + timedelta(seconds=length)
    # Quartz takes a start within the first pass of the hour that comes twice as its wall time.
    first_pass = BEGIN + timedelta(hours=2), BEGIN + timedelta(hours=3)
    assume(not first_pass[0] <= start < first_pass[1] or not any("quartz" in str(part.as_json()) for part in parts))
    trigger = AnyOf(*parts)
    expected = sorted({fire for part in trigger.triggers for fire in fires(part, start, end)})
    assert fires(trigger, start, end) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(union_count, "_MOST_WALKED", 0 if few else 2_000)
        assert trigger.count(start, end) == len(expected)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(triggers(), min_size=1, max_size=3))
def test_next_previous_and_count_are_those_of_all_triggers(parts: list[Trigger]) -> None:
    """Each instant once."""
    trigger = AnyOf(*parts)
    start, end = BEGIN, BEGIN + timedelta(minutes=30)
    expected = sorted({fire for part in parts for fire in fires(part, start, end)})
    assert fires(trigger, start, end) == expected
    assert trigger.count(start, end) == len(expected)
    back, at = [], end
    while (fire := trigger.prev_fire(at)) is not None and fire >= start:
        back.append(at := fire)
    assert back[::-1] == expected


@settings(max_examples=examples(150), deadline=None)
@given(triggers())
def test_every_trigger_is_a_frozen_value_that_comes_back(trigger: Trigger) -> None:
    """From a pickle, from the store, and from its options; equal ones have the same hash."""
    for again in (
        pickle.loads(pickle.dumps(trigger)),
        read_trigger(*trigger.stored()),
        type(trigger).from_options(trigger.option_values()),
    ):
        assert again == trigger
        assert hash(again) == hash(trigger)
    for name in ("kind", "tz", "seconds"):
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(trigger, name, "other")


def test_the_same_trigger_counts_once_and_nested_ones_are_one_list() -> None:
    """In the order in which they were given."""
    one, two = Cron("0 0 8 * * ?", "UTC"), Every(60)
    assert AnyOf(one, AnyOf(two, one)) == AnyOf(one, two)
    assert str(AnyOf(one, two)) == "0 0 8 * * ? (UTC) or every 1 min"
    assert (AnyOf(one, two).tz, AnyOf(one, Cron("0 0 8 * * ?", "Asia/Tokyo")).tz) == ("UTC", None)


def test_what_is_no_list_of_triggers_is_refused() -> None:
    """None, too many, and other values; one that this process cannot read makes all of it unreadable."""
    for wrong in ((), tuple(Every(n + 1) for n in range(101)), ("0 0 8 * * ?",)):
        with pytest.raises(TimerError, match="AnyOf takes"):
            AnyOf(*wrong)  # type: ignore[arg-type]
    unreadable = read_trigger("any_of", '{"triggers":[{"kind":"moon"}]}')
    assert isinstance(unreadable, UnreadableTrigger)
    assert "no installed package has the trigger kind 'moon'" in unreadable.reason
