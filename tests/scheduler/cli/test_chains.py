"""Chains on the command line: --then, lists, declarations, and runs show."""

import json
from datetime import UTC, datetime

import pytest

from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.default_rules import DefaultZone
from scheduler.engine import Engine
from scheduler.errors import TimerError
from scheduler.functions.declarations import read_declarations
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise, synchronise_valid
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests.scheduler.command_line import CommandLine
from tests.scheduler.scripted_service import START

PRODUCTION = Environment.PRODUCTION


def timer(name: str, **options: object) -> Timer:
    return Timer(name=name, function="f", trigger=Every(60), **options)  # type: ignore[arg-type]


def test_followers_are_given_changed_and_cleared(command_line: CommandLine) -> None:
    """A circle and an unknown timer are refused; a new name goes along."""
    for name in ("load", "report"):
        command_line.run("timers", "add", name, "--function", "hello", "--every", "60")
    words = ("timers", "add", "extract", "--function", "hello", "--every", "60", "--then")
    assert "no timer 'lod' in production" in command_line.refusal(*words, "lod")
    assert command_line.json(*words, "load, report", "--then-on", "ended")["then"] == ["load", "report"]
    refused = command_line.refusal("timers", "edit", "load", "--then", "extract")
    assert "timers would follow each other in a circle: load → extract → load" in refused
    command_line.run("timers", "rename", "load", "store")
    shown = command_line.run("timers", "show", "extract").stdout
    assert "then store, report" in shown
    assert "then_on ended" in shown
    assert command_line.json("timers", "edit", "extract", "--then", "")["then"] == []


def test_a_list_may_name_timers_that_it_adds_itself(command_line: CommandLine) -> None:
    """In any order; a circle in it is refused, and nothing is added."""
    timers = [{"name": "a", "function": "hello", "seconds": 60, "then": ["b"]}]
    timers += [
        {"name": "b", "function": "hello", "seconds": 60, "then": "c"},
        {"name": "c", "function": "hello", "seconds": 60},
    ]
    file = command_line.folder / "timers.json"
    file.write_text(json.dumps(timers))
    command_line.run("timers", "import", str(file))
    assert [entry["then"] for entry in command_line.json("timers", "list")] == [["b"], ["c"], []]
    file.write_text(json.dumps([*timers[:2], {**timers[2], "then": ["a"]}]))
    assert "in a circle: " in command_line.refusal("timers", "apply", str(file))


def test_a_run_is_shown_with_what_led_to_it(command_line: CommandLine) -> None:
    """And with the runs to which it led, and its lines."""
    (command_line.folder / ".scheduler").mkdir()
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store:
        engine = Engine()
        engine.define("f")(lambda: print("done"))
        with ManualScheduler(engine, now=START) as scheduler:
            scheduler.add(timer("load"), timer("extract", then=["load"], enabled=True))
            scheduler.advance(minutes=1)
            with scheduler.store.reading() as source:
                source.connection.dbapi_connection.backup(store._engine.raw_connection().dbapi_connection)
    first, second = command_line.json("runs")[::-1]
    assert (first["cause_id"], second["cause_id"], second["kind"]) == (None, first["id"], "chained")
    assert f"after run {first['id']}" in command_line.run("runs").stdout
    shown = command_line.run("runs", "show", str(first["id"])).stdout
    assert f"led to       run {second['id']} of load: succeeded" in shown
    shown = command_line.run("runs", "show", str(second["id"])).stdout
    assert f"after        run {first['id']} of extract" in shown
    data = command_line.json("runs", "show", str(second["id"]))
    assert (data["cause"]["id"], data["led_to"]) == (first["id"], [])
    assert "no run 99 in the store" in command_line.refusal("runs", "show", "99")


def test_declarations_may_follow_each_other(store: Store) -> None:
    """In any order; one that would close a circle, or names an unknown timer, is left out."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    synchronise(store, [timer("a", then=["b"]), timer("b")], PRODUCTION, now=now)
    assert TimerTable(store).get("a").timer.then == ("b",)
    with pytest.raises(TimerError, match="in a circle: b → a → b"):
        synchronise(store, [timer("a", then=["b"]), timer("b", then=["a"])], PRODUCTION, now=now)
    engine = Engine()

    @engine.timer(every=60, then=["nobody"])
    def lone() -> None: ...

    @engine.timer(every=60, name="b")
    def b() -> None: ...

    @engine.timer(every=60, name="a", then="b", then_on="failed")
    def a() -> None: ...

    read = read_declarations(engine.registry, PRODUCTION, DefaultZone("UTC"))
    (fault,) = synchronise_valid(store, read, PRODUCTION, now=now, quota=0).faults
    assert "no timer 'nobody' in production" in str(fault)
    assert TimerTable(store).get("a").timer.then_on == "failed"
