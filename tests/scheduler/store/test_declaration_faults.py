"""One wrong declaration: the others are brought to the store, and it is named with its timer, function and place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scheduler.core.timer import Environment
from scheduler.default_rules import DefaultZone
from scheduler.engine import Engine
from scheduler.errors import TimerError
from scheduler.functions.declarations import read_declarations
from scheduler.store.database import Store
from scheduler.store.declaration_sync import Synchronised, declaration_faults, synchronise_valid
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests.scheduler.scripted_service import START

PRODUCTION = Environment.PRODUCTION
UTC = DefaultZone("UTC")


def engine_with(*declarations: tuple[str, dict[str, Any]], schedule: str | None = None) -> Engine:
    """Functions of these names, each declared with these options."""
    engine = Engine()
    for name, options in declarations:
        function = _function(name)
        engine.timer(schedule, **options)(engine.define(function))
    return engine


def _function(name: str) -> Callable[[], None]:
    def function() -> None:
        pass

    function.__name__ = name
    return function


def bring(store: Store, engine: Engine, *, quota: int = 0) -> Synchronised:
    declared = read_declarations(engine.registry, PRODUCTION, UTC)
    foreseen = declaration_faults(store, declared, PRODUCTION, now=START, quota=quota)
    done = synchronise_valid(store, declared, PRODUCTION, now=START, quota=quota)
    assert foreseen == done.faults
    return done


def states(store: Store) -> dict[str, bool]:
    return {entry.timer.name: entry.timer.enabled for entry in TimerTable(store).list()}


GOOD = ("good", {"every": 60, "enabled": True})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"every": 60, "limt": 3}, "there is no option 'limt'"),
        ({"cron": "0 0 8 * * ?"}, "there is no option 'cron'; the schedule comes first: @engine.timer"),
        ({"every": "soon"}, "an interval must be a whole number of seconds"),
        ({"every": 0}, "an interval must be from 1 to"),
        ({}, "give an expression, an interval, an instant or a recurrence rule"),
        ({"every": 60, "params": {"x": 1}}, "superfluous argument 'x'"),
        ({"every": 60, "params": {"x": object()}}, "cannot be encoded as JSON"),
        ({"every": 60, "environment": "prod"}, "prod"),
        ({"every": 60, "name": 7}, "7"),
    ],
)
def test_a_wrong_option_leaves_out_its_timer_only(store: Store, options: dict[str, Any], reason: str) -> None:
    """The fault has the function, and the file and line at which it stands."""
    done = bring(store, engine_with(("bad", options), GOOD))
    assert states(store) == {"good": True}
    (fault,) = done.faults
    assert (fault.function, fault.place.partition(":")[0]) == ("bad", "test_declaration_faults.py")
    assert str(fault).startswith("@engine.timer of 'bad'")
    assert reason in str(fault)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("0 75 8 * * ?", "75 is out of range"),
        ("0 8 * * 1", "0 0 8 ? * MON"),
        ("0 0 8 1 1 ? 2020", "never fires after 2026-"),
        ("0 0 8 30 2 ?", "never fires"),
    ],
)
def test_an_expression_that_is_wrong_or_over_leaves_out_its_timer_only(
    store: Store, schedule: str, reason: str
) -> None:
    """Also one with a year that has passed."""
    engine = engine_with(("once", {"name": "new year"}), schedule=schedule)
    engine.timer(every=60)(engine.define(_function("good")))
    done = bring(store, engine)
    assert states(store) == {"good": False}
    (fault,) = done.faults
    assert str(fault).startswith("@engine.timer of 'once', timer 'new year' (test_declaration_faults.py:")
    assert reason in str(fault)


def test_a_timer_whose_declaration_became_wrong_goes_on_as_it_was(store: Store) -> None:
    """It counts as declared, also where its name can no longer be read."""
    bring(store, engine_with(GOOD, ("nightly", {"every": 60, "enabled": True, "name": "n"})))
    for options in ({"every": 0, "name": "n"}, {"every": 60, "name": 7}):
        done = bring(store, engine_with(GOOD, ("nightly", options)))
        assert len(done.faults) == 1
        assert done.changes == []
        assert states(store) == {"good": True, "n": True}


def test_a_sixth_declaration_leaves_the_five_before_it(store: Store) -> None:
    """In the order in which they are declared."""
    engine = engine_with(*((f"f{number}", {"every": 60}) for number in range(6)))
    (fault,) = bring(store, engine, quota=5).faults
    assert fault.function == "f5"
    assert "production has 5 timers already" in str(fault)
    assert len(states(store)) == 5


def test_a_renamed_function_takes_the_place_of_its_old_name(store: Store) -> None:
    """A timer that is disabled because it is no longer declared does not count; one that a user has enabled does."""
    names = [f"f{number}" for number in range(5)]
    bring(store, engine_with(*((name, {"every": 60, "enabled": True}) for name in names)), quota=5)
    renamed = engine_with(*((name, {"every": 60, "enabled": True}) for name in [*names[:4], "g"]))
    assert bring(store, renamed, quota=5).faults == []
    assert states(store) == {**dict.fromkeys(["f0", "f1", "f2", "f3", "g"], True), "f4": False}
    TimerTable(store).enable("f4", now=START)
    more = engine_with(*((name, {"every": 60}) for name in [*names[:4], "h"]))
    TimerTable(store).enable("f4", now=START)
    assert [fault.function for fault in bring(store, more, quota=5).faults] == ["h"]


def test_two_declarations_of_one_name_keep_the_first(store: Store) -> None:
    """The second is a fault that names both functions."""
    done = bring(store, engine_with(("one", {"every": 60, "name": "t"}), ("two", {"every": 5, "name": "t"})))
    (fault,) = done.faults
    assert "'one' declares a timer 't' too" in str(fault)
    assert TimerTable(store).get("t").timer.function == "one"


def test_an_edit_that_never_fires_again_leaves_the_timer_as_it_was(store: Store) -> None:
    """A one-off that is over, of which another option is changed."""
    engine = engine_with(("once", {"enabled": True}), schedule="0 0 8 1 1 ? 2027")
    bring(store, engine)
    before = TimerTable(store).get("once").timer
    over = engine_with(("once", {"enabled": True, "limit_s": 3}), schedule="0 0 8 1 1 ? 2020")
    (fault,) = bring(store, over).faults
    assert "never fires after" in str(fault)
    assert TimerTable(store).get("once").timer == replace(before)


def test_a_program_that_synchronizes_gets_the_error(store: Store) -> None:
    """Nothing is changed then: the program decides."""
    with (
        ManualScheduler(engine_with(GOOD, ("bad", {"every": 0})), now=START) as scheduler,
        pytest.raises(TimerError, match=r"@engine.timer of 'bad' \(test_declaration_faults.py:\d+\): an interval"),
    ):
        scheduler.synchronise()
    assert states(store) == {}
