"""The table of a timer's attributes: each row is in every form in which a timer is given, kept and shown."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from quartzcron.calendars import WorkingDays
from scheduler.claims import timer_cache
from scheduler.cli.timers import add, edit_timer
from scheduler.cli.transfer import import_timers
from scheduler.console.timer_form import form_of_timer
from scheduler.core.attributes import ATTRIBUTES, Attribute
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.engine import Engine
from scheduler.errors import TimerError
from scheduler.formats import timer_columns, timer_lists
from scheduler.formats.json import timer_json
from scheduler.functions import Registry
from scheduler.functions.declarations import declared_timers
from scheduler.store.calendars import CalendarTable
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise
from scheduler.store.schema import timers
from scheduler.store.timer_apply import apply_timers
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests.scheduler.command_line import CommandLine
from tests.scheduler.scripted_service import START

#: For each attribute a value that no other timer has; a new row needs one.
VALUES: dict[str, Any] = {
    "name": "other",
    "environment": Environment.STAGE,
    "enabled": True,
    "function": "g",
    "params": {"n": 3},
    "limit_s": 2.5,
    "misfire": "fire_all",
    "overlap": "allow",
    "delivery": "at_least_once",
    "jitter_s": 7,
    "retries": 4,
    "retry_backoff_s": 1.5,
    "breaker_threshold": 9,
    "starts_at": START,  # an interval is counted from then on
    "ends_at": datetime(2099, 1, 5, 8, tzinfo=UTC),
    "description": "Weekly figures",
    "tags": ("billing", "nightly"),
    "calendar": "firm",
    "roll": "following",
    "max_runs": 3,
    "max_concurrent": 2,
    "grace_s": 7.5,
    "catch_up_s": 600.0,
    "pause_on_failure": True,
    "ping_url": "https://example.com/ping/1",
    "then": ("after, all", "next"),
    "then_on": "failed",
    "remove_when_finished": True,
    "fire_on_enable": True,
    "fire_on_start": True,
}
PLAIN = Timer(name="t", function="f", trigger=Every(60, anchor=START))
rows = pytest.mark.parametrize("row", ATTRIBUTES, ids=lambda row: row.name)


def plain(row: Attribute) -> Timer:
    """A timer that may have any value of this attribute: a calendar goes with days, and a roll with a calendar."""
    if row.name not in {"calendar", "roll"}:
        return PLAIN
    return replace(PLAIN, trigger=Cron("0 0 8 * * ?", "UTC"), calendar="firm" if row.name == "roll" else None)


def changed(row: Attribute) -> Timer:
    """A timer that differs from a plain one in this attribute alone."""
    return replace(plain(row), **{row.name: VALUES[row.name]})


def add_named(store: Store) -> Store:
    """The store, with the calendar and the timers that a timer may name."""
    CalendarTable(store).add("firm", WorkingDays(), now=START)
    TimerTable(store).add([replace(PLAIN, name=name) for name in VALUES["then"]], now=START)
    return store


def test_the_table_has_the_fields_of_a_timer() -> None:
    """Each once; the trigger alone has options of its own."""
    names = [row.name for row in ATTRIBUTES]
    assert len(names) == len(set(names))
    assert {*names, "trigger", "working_days"} == {field.name for field in fields(Timer)}
    assert set(VALUES) == set(names)


@rows
def test_an_attribute_is_a_column_of_the_store(row: Attribute, store: Store) -> None:
    """Its value comes back from there."""
    assert row.name in timers.c
    (entry,) = TimerTable(add_named(store)).add([changed(row)], now=START)
    assert TimerTable(store).get(entry.timer.name, entry.timer.environment).timer == changed(row)


@rows
def test_an_attribute_is_a_column_of_lists(row: Attribute) -> None:
    """In CSV and in JSON, under its name and its synonyms; the help of `timers import` names it."""
    timer = changed(row)
    assert row.column in timer_columns.COLUMNS
    for text in (timer_lists.as_csv([timer]), json.dumps([timer_lists.as_object(timer)])):
        for name in (row.column, *row.synonyms):
            read = timer_lists.read(
                text.replace(row.column, name, 1), environment=Environment.PRODUCTION, tz="UTC", limit_s=15.0
            )
            assert [one.anchored(START) for one in read.timers] == [timer]
    assert row.column in (import_timers.help or "").replace("--env is", "")


@rows
def test_an_attribute_is_a_key_of_the_json_of_the_command_line(row: Attribute) -> None:
    """The threshold of the breaker stands with what else there is of it."""
    with Store("sqlite://") as store:
        (entry,) = TimerTable(add_named(store)).add([changed(row)], now=START)
    shown = timer_json(entry, "UTC")
    kept = shown["breaker"]["threshold"] if row.key is None else shown[row.key]
    assert json.loads(json.dumps(kept)) == row.to_json(VALUES[row.name])


@rows
def test_an_attribute_is_an_option_of_the_command_line(row: Attribute, command_line: CommandLine) -> None:
    """Of `timers add` and `timers edit`; the name is their argument."""
    given = {"name": ("other",), "environment": ("t", "--env", "stage"), "enabled": ("t", "--enable")}
    text = row.cell(VALUES[row.name])
    words = given.get(row.name) or ("t", row.flag or "", text)
    function = () if row.name == "function" else ("--function", "f")
    command_line.run("calendars", "add", "firm")
    for name in VALUES["then"] if row.name == "then" else ():
        command_line.run("timers", "add", name, "--function", "f", "--every", "60")
    days = ("--cron", "0 0 8 * * ?")
    schedule = {"calendar": days, "roll": (*days, "--calendar", "firm")}.get(row.name, ("--every", "60"))
    added = command_line.json("timers", "add", *words, *function, *schedule)
    kept = added["breaker"]["threshold"] if row.key is None else added[row.key]
    assert kept == row.to_json(VALUES[row.name])
    if row.flag:
        for command in (add, edit_timer):
            (option,) = [param for param in command.params if row.flag in param.opts]
            assert option.name == row.name


@rows
def test_an_attribute_is_an_option_of_a_declaration(row: Attribute) -> None:
    """The function is the one that is decorated; a change of it is named, that of a secret without its value."""
    engine = Engine()
    options = {} if row.name == "function" else {row.name: VALUES[row.name]}
    if row.name == "roll":
        options["calendar"] = "firm"
    engine.define("g" if row.name == "function" else "f")(dict)
    schedule = {"every": 60} if row.name not in {"calendar", "roll"} else {"tz": "UTC"}
    engine.timer(None if "every" in schedule else "0 0 8 * * ?", **schedule, **({"name": "t"} | options))(dict)
    (timer,) = declared_timers(engine.registry, Environment.PRODUCTION)
    assert timer.anchored(START) == changed(row)
    if row.name in ("name", "environment", "enabled"):
        return
    with Store("sqlite://") as store:
        synchronise(add_named(store), [plain(row)], Environment.PRODUCTION, now=START)
        (change,) = synchronise(store, [changed(row)], Environment.PRODUCTION, now=START)
    old, new = getattr(plain(row), row.name), getattr(changed(row), row.name)
    assert change.details == ((row.name,) if row.is_secret else (f"{row.name} {old} → {new}",))


@rows
def test_an_attribute_of_the_rule_is_in_the_cache_of_claims(row: Attribute) -> None:
    """So timers that differ in it share no fire times; that which others decide is not in it."""
    assert (row.name in (*timer_cache._RULE, "jitter_s")) == row.is_rule


@rows
def test_an_attribute_is_applied_from_a_list(row: Attribute) -> None:
    """To the timer that is there; under another name or in another environment, it is another timer."""
    with Store("sqlite://") as store:
        TimerTable(add_named(store)).add([plain(row)], now=START)
        apply_timers(store, [changed(row)], now=START)
        timer = TimerTable(store).get(changed(row).name, changed(row).environment).timer
    assert timer.anchored(START) == changed(row)


@rows
def test_an_attribute_is_edited_in_a_program(row: Attribute) -> None:
    """By its name."""
    functions = Registry()
    for name in ("f", "g"):
        functions.define(lambda **_: None, name=name)
    with ManualScheduler(functions, now=START) as scheduler:
        add_named(scheduler.store)
        scheduler.add(plain(row))
        if row.name in ("name", "environment"):
            with pytest.raises((TypeError, TimerError)):
                scheduler.edit("t", **{row.name: VALUES[row.name]})
            return
        scheduler.edit("t", **{row.name: VALUES[row.name]})
        assert scheduler.get("t").timer == changed(row)


@rows
def test_an_attribute_has_a_field_in_the_editor_of_the_console(row: Attribute) -> None:
    """The form of a timer makes the same timer; it is enabled by a button."""
    timer = changed(row)
    again = form_of_timer(timer).timer(enabled=timer.enabled)
    assert again is not None
    assert again.anchored(START) == timer
