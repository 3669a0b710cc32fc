"""Timers that are declared beside their functions: the store is synchronized with new, changed and removed ones."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

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
from sqlalchemy import select, update

from scheduler.core.misfire import MisfirePolicy
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.engine import Engine
from scheduler.errors import ConfigError, TimerError, TimerQuotaError
from scheduler.functions.declarations import declared_timers
from scheduler.service import Scheduler
from scheduler.store.database import Store
from scheduler.store.declaration_sync import Change, DeclarationEffect, synchronise
from scheduler.store.schema import timers
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests.example_counts import examples
from tests.scheduler.postgres_server import Server
from tests.scheduler.scripted_service import START, empty

PRODUCTION, STAGE = Environment
NIGHTLY = Timer(name="nightly", function="clean_up", trigger=Cron("0 0 3 * * ?"))


def bring(store: Store, *declared: Timer, environment: Environment = PRODUCTION) -> list[tuple[str, str]]:
    """Synchronize; the effect on each timer that changed."""
    return [
        (change.effect.value, change.timer.name) for change in synchronised(store, *declared, environment=environment)
    ]


def synchronised(store: Store, *declared: Timer, environment: Environment = PRODUCTION) -> list[Change]:
    return synchronise(store, declared, environment, now=START)


def test_a_new_declaration_is_added_disabled_unless_it_says_otherwise(store: Store) -> None:
    """As every timer; one that is declared as before is left alone."""
    declared = NIGHTLY, replace(NIGHTLY, name="at_once", enabled=True)
    assert bring(store, *declared) == [("added", "nightly"), ("added", "at_once")]
    assert bring(store, *declared) == []
    assert [(entry.timer.name, entry.timer.enabled) for entry in TimerTable(store).list()] == [
        ("at_once", True),
        ("nightly", False),
    ]


def test_a_changed_declaration_takes_over_what_it_changes_and_nothing_else(store: Store) -> None:
    """The limit was edited by hand and stays; the trigger is declared anew and wins over the edit."""
    bring(store, NIGHTLY)
    TimerTable(store).edit("nightly", PRODUCTION, {"limit_s": 99.0, "trigger": Every(5)}, now=START)
    TimerTable(store).enable("nightly", now=START)
    assert bring(store, NIGHTLY) == []
    (change,) = synchronised(store, replace(NIGHTLY, trigger=Cron("0 0 4 * * ?"), params={"key": "secret"}))
    assert str(change) == (
        "changed the timer 'nightly', enabled: trigger every 5 s → 0 0 4 * * ? (Asia/Shanghai), params"
    )
    kept = TimerTable(store).get("nightly")
    assert (kept.timer.trigger, kept.timer.limit_s, kept.timer.enabled) == (Cron("0 0 4 * * ?"), 99.0, True)
    assert str(kept.next_fire) == "2026-01-01 20:00:00+00:00"


def test_what_is_no_longer_declared_is_disabled_and_resumes_when_it_is_again(store: Store) -> None:
    """After a rollback of the program they are enabled again; a timer that was disabled stays disabled."""
    going, standing = replace(NIGHTLY, enabled=True), replace(NIGHTLY, name="standing")
    bring(store, going, standing)
    assert bring(store) == [("disabled", "nightly")]
    assert bring(store) == []
    entries = {entry.timer.name: entry for entry in TimerTable(store).list()}
    assert all(entry.has_vanished and entry.next_fire is None for entry in entries.values())
    changes = synchronised(store, replace(going, limit_s=1.0), standing)
    assert [str(change) for change in changes] == [
        "the timer 'nightly' is declared again, enabled: limit_s 15.0 → 1.0",
        "the timer 'standing' is declared again, disabled",
    ]
    assert TimerTable(store).get("nightly").next_fire is not None


def test_a_timer_that_was_there_before_its_declaration_stays_as_it_is(store: Store) -> None:
    """It is declared from then on, and the change lists the attributes that differ."""
    TimerTable(store).add([replace(NIGHTLY, limit_s=2.0, enabled=True)], now=START)
    (change,) = synchronised(store, NIGHTLY)
    assert str(change) == (
        "the timer 'nightly' already existed and was not changed; the declaration differs in limit_s"
    )
    assert bring(store, NIGHTLY) == []
    assert TimerTable(store).get("nightly").timer == replace(NIGHTLY, limit_s=2.0, enabled=True)
    assert bring(store) == [("disabled", "nightly")]


def test_timers_that_were_never_declared_are_left_alone(store: Store) -> None:
    """However often the store is synchronized."""
    TimerTable(store).add([replace(NIGHTLY, enabled=True)], now=START)
    assert bring(store) == []
    assert TimerTable(store).get("nightly").timer.enabled


def test_each_environment_synchronizes_its_own_declarations(store: Store) -> None:
    """A preview from other sources disables no timer of production."""
    bring(store, replace(NIGHTLY, enabled=True))
    assert bring(store, environment=STAGE) == []
    assert bring(store, replace(NIGHTLY, environment=STAGE), environment=STAGE) == [("added", "nightly")]
    assert bring(store, replace(NIGHTLY, enabled=True)) == []
    assert bring(store) == [("disabled", "nightly")]
    assert not TimerTable(store).get("nightly", STAGE).has_vanished


def test_declarations_beyond_the_quota_change_nothing(store: Store) -> None:
    """All or none."""
    six = [replace(NIGHTLY, name=f"t{number}") for number in range(6)]
    with pytest.raises(TimerQuotaError):
        synchronise(store, six, PRODUCTION, now=START, quota=5)
    assert TimerTable(store).list() == []


def test_a_declaration_of_an_older_version_counts_as_declaring_the_defaults(store: Store) -> None:
    """An attribute that it lacks has not changed."""
    bring(store, NIGHTLY)
    with store.writing() as connection:
        declaration = json.loads(connection.execute(select(timers.c.declaration)).scalar_one())
        del declaration["misfire"]
        connection.execute(update(timers).values(declaration=json.dumps(declaration)))
    assert bring(store, NIGHTLY) == []
    assert bring(store, replace(NIGHTLY, misfire=MisfirePolicy.SKIP)) == [("changed", "nightly")]


def test_daemons_that_start_at_once_add_a_declaration_once(postgres: Server) -> None:
    """Each on its own connection; one of them adds it, and the others find it."""
    with postgres.database() as url, ThreadPoolExecutor(4) as pool:
        stores = [Store(url) for _ in range(4)]
        for declared, effect in (
            (NIGHTLY, DeclarationEffect.ADDED),
            (replace(NIGHTLY, limit_s=1.0), DeclarationEffect.CHANGED),
        ):
            changes = [change for each in pool.map(synchronised, stores, [declared] * 4) for change in each]
            assert [change.effect for change in changes] == [effect]
        for store in stores:
            store.close()


class AnyHistory(RuleBasedStateMachine):
    """One timer is declared, edited by hand, no longer declared and declared again; a model has what it must be."""

    def __init__(self, store_url: str) -> None:
        super().__init__()
        self.store_url = store_url

    @initialize()
    def start(self) -> None:
        self.store = Store(self.store_url)
        empty(self.store)
        self.kept: dict[str, Any] = {}
        self.declared: dict[str, Any] = {}
        self.suspended: bool | None = None

    @rule(limit_s=st.integers(1, 3), breaker_threshold=st.integers(0, 1), enabled=st.booleans())
    def it_is_declared(self, **attributes: Any) -> None:
        if not self.kept:
            self.kept = dict(attributes)
        else:
            changed = {name: value for name, value in attributes.items() if value != self.declared[name]}
            resumed = {"enabled": True} if self.suspended else {}
            self.kept |= resumed | changed
        self.declared, self.suspended = attributes, None
        bring(self.store, replace(NIGHTLY, **attributes))

    @precondition(lambda self: self.kept)
    @rule()
    def it_is_not_declared(self) -> None:
        if self.suspended is None:
            self.suspended, self.kept["enabled"] = self.kept["enabled"], False
        bring(self.store)

    @precondition(lambda self: self.kept)
    @rule(limit_s=st.integers(1, 3), breaker_threshold=st.integers(0, 1), enabled=st.booleans())
    def it_is_edited(self, **attributes: Any) -> None:
        self.kept |= attributes
        TimerTable(self.store).edit("nightly", PRODUCTION, attributes, now=START)

    @invariant()
    def the_store_has_what_the_model_says(self) -> None:
        entries = TimerTable(self.store).list()
        assert [entry.timer for entry in entries] == ([replace(NIGHTLY, **self.kept)] if self.kept else [])
        for entry in entries:
            assert (entry.next_fire is not None) == entry.timer.enabled
            assert entry.has_vanished == (self.suspended is not None)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


def test_any_history_of_declarations_and_edits_ends_as_the_rule_says(store_url: str) -> None:
    """On both databases."""
    histories = 60 if store_url.startswith("sqlite") else 8
    run_state_machine_as_test(
        partial(AnyHistory, store_url),
        settings=settings(max_examples=examples(histories), stateful_step_count=15, deadline=None),
    )


# From decorators to timers


@pytest.fixture
def engine() -> Iterator[Engine]:
    return Engine()


def test_a_decorator_sets_the_attributes_of_a_timer(engine: Engine) -> None:
    """The environment and the time zone default to those of the project."""
    engine.timer("0 0 8 ? * MON", limit_s=3, name="weekly")(len)
    engine.timer(every=60, environment="stage", enabled=True)(abs)
    assert declared_timers(engine.registry, PRODUCTION, "Europe/Berlin") == [
        Timer(name="weekly", function="len", trigger=Cron("0 0 8 ? * MON", "Europe/Berlin"), limit_s=3),
        Timer(name="abs", function="abs", trigger=Every(60), environment=STAGE, enabled=True),
    ]


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        (None, {}, "@engine.timer of 'len': give an expression, an interval, an instant or a recurrence rule"),
        (
            "0 0 8 ? * MON",
            {"every": 60},
            "@engine.timer of 'len': give an expression, an interval, an instant or a recurrence rule",
        ),
        (
            "0 0 8 ? * MON",
            {"limits": 60},
            "there is no option 'limits'; options are every, at, rrule, any_of, tz, dst, on, start, breaker_threshold",
        ),
        ("0 0 8 ? * MON", {"limit_s": 0}, "@engine.timer of 'len': a time limit must be more than 0 s"),
        ("0 75 8 ? * MON", {}, "@engine.timer of 'len': .*75 is out of range"),
    ],
)
def test_a_wrong_declaration_names_its_function(
    engine: Engine, schedule: str | None, options: dict[str, object], message: str
) -> None:
    """The message names the decorator and the function."""
    engine.timer(schedule, **options)(len)
    with pytest.raises(TimerError, match=message):
        declared_timers(engine.registry, PRODUCTION)


def test_an_option_may_be_spelled_as_in_a_list_or_on_the_command_line(engine: Engine) -> None:
    """But not under two names at a time."""
    engine.timer(every=60, limit=5, breaker=2, jitter=3, env="stage")(len)
    (timer,) = declared_timers(engine.registry, PRODUCTION, "UTC")
    assert (timer.limit_s, timer.breaker_threshold, timer.jitter_s, timer.environment) == (5, 2, 3, STAGE)
    engine.timer(every=60, limit=5, limit_s=6)(max)
    with pytest.raises(TimerError, match="of 'max': an option is given twice, under two names: every, limit, limit_s"):
        declared_timers(engine.registry, PRODUCTION, "UTC")


def test_two_declarations_of_one_name_are_refused(engine: Engine) -> None:
    """Both functions are named."""
    engine.timer(every=60, name="t")(len)
    engine.timer(every=60, name="t")(abs)
    with pytest.raises(TimerError, match=r"@engine.timer of 'abs', timer 't': 'len' declares a timer 't' too"):
        declared_timers(engine.registry, PRODUCTION)


def test_a_program_synchronizes_its_store_with_its_declarations(engine: Engine) -> None:
    """scheduler.synchronise() does what `scheduler up` does at its start."""
    engine.timer(every=60, enabled=True)(list)
    with ManualScheduler(engine, now=START) as scheduler:
        assert [str(change) for change in scheduler.synchronise()] == ["added the timer 'list', enabled"]
        scheduler.advance(seconds=60)
        assert [run.timer for run in scheduler.runs()] == ["list"]
    with Store("sqlite://") as store, pytest.raises(ConfigError, match="an Engine or a Registry"):
        Scheduler(store, executors={PRODUCTION: None}).synchronise()  # type: ignore[dict-item]


@pytest.mark.parametrize(("params", "what"), [({"zz": 1}, "superfluous argument 'zz'"), ({"days": "x"}, "days")])
def test_parameters_that_the_function_does_not_take_are_refused(
    engine: Engine, params: dict[str, object], what: str
) -> None:
    """Such a timer would fail at every fire time."""

    @engine.timer(every=60, params=params)
    @engine.define
    def tidy(days: int = 7) -> None:
        raise AssertionError(days)

    with pytest.raises(TimerError, match=rf"@engine.timer of 'tidy' \(test_declaration_sync.py:\d+\): .*{what}"):
        declared_timers(engine.registry, Environment.PRODUCTION)
