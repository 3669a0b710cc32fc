"""Every change of a timer is recorded with its author, in the transaction that makes it."""

import json
import pwd
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.trigger_kinds import read_trigger
from scheduler.core.triggers import Cron, Every
from scheduler.errors import StoreError, TimerChangedError, TimerError
from scheduler.functions.declarations import DeclaredTimer
from scheduler.store import retention
from scheduler.store.change_pages import ChangeFilter, ChangeHistory, ChangeRecord
from scheduler.store.change_recording import Action, Author, Way
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise
from scheduler.store.retention import Retention
from scheduler.store.schema import changes, timers
from scheduler.store.timers import StoredTimer, TimerTable
from tests.example_counts import examples
from tests.scheduler.scripted_service import START, empty

PRODUCTION, STAGE = Environment
MONDAY = Timer(name="monday", function="f", trigger=Cron("0 0 8 ? * MON", "Asia/Shanghai"))
ANN = Author("ann@example", Way.CONSOLE, "because")


@pytest.fixture(scope="module")
def memory() -> Iterator[Store]:
    """A store for many examples, each of which empties it."""
    with Store("sqlite://") as store:
        yield store


def recorded(store: Store, wanted: ChangeFilter | None = None) -> list[ChangeRecord]:
    """All changes, oldest first."""
    return [*ChangeHistory(store).page(wanted, limit=1_000).items][::-1]


def open_breaker(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(update(timers).values(breaker_state="open", consecutive_failures=5, openings=1))


CHANGES: list[tuple[Callable[[TimerTable], object], Action, dict[str, Any] | None, dict[str, Any] | None]] = [
    (
        lambda table: table.enable("monday", now=START, by=ANN),
        Action.ENABLED,
        {"enabled": False},
        {"enabled": True},
    ),
    (
        lambda table: table.edit("monday", PRODUCTION, {"limit_s": 30, "tags": ["a"]}, now=START, by=ANN),
        Action.CHANGED,
        {"limit_s": 15.0, "tags": []},
        {"limit_s": 30.0, "tags": ["a"]},
    ),
    (
        lambda table: table.edit("monday", PRODUCTION, {"name": "tuesday"}, now=START, by=ANN),
        Action.RENAMED,
        {"name": "monday"},
        {"name": "tuesday"},
    ),
]


@pytest.mark.parametrize(("change", "action", "before", "after"), CHANGES)
def test_an_edit_is_recorded_with_what_differs(
    store: Store,
    change: Callable[[TimerTable], object],
    action: Action,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """The attributes before and after, who changed them, by what way, why, and when."""
    table = TimerTable(store)
    table.add([MONDAY], now=START, by=ANN)
    change(table)
    _, record = recorded(store)
    assert (record.action, record.before, record.after) == (action, before, after)
    assert (record.author, record.way, record.why, record.at) == ("ann@example", Way.CONSOLE, "because", START)
    assert (record.name, record.environment) == (after.get("name", "monday"), "production")


def test_a_timer_is_recorded_whole_when_it_is_added_and_removed(store: Store) -> None:
    """So that it can be read, and added again, when it is gone."""
    table = TimerTable(store)
    table.add([replace(MONDAY, params={"to": "é"})], now=START)
    table.remove("monday", now=START + timedelta(days=1))
    added, removed = recorded(store)
    assert (added.action, added.before, removed.action, removed.after) == (Action.ADDED, None, Action.REMOVED, None)
    assert added.after == removed.before
    assert added.after is not None
    assert (added.after["params"], added.after["trigger"]["kind"]) == ({"to": "é"}, "cron")
    assert removed.at == START + timedelta(days=1)


def test_a_breaker_that_a_person_closes_is_recorded(store: Store) -> None:
    """By `reset` alone, and with an edit that closes it."""
    table = TimerTable(store)
    table.add([replace(MONDAY, enabled=True)], now=START)
    open_breaker(store)
    table.reset("monday", now=START)
    open_breaker(store)
    table.edit("monday", PRODUCTION, {"retries": 1}, now=START)
    _, reset, edit = recorded(store)
    opened = {"state": "open", "consecutive_failures": 5}
    assert (reset.action, reset.before, reset.after) == (Action.RESET, {"breaker": opened}, {"breaker": None})
    assert (edit.action, edit.before) == (Action.CHANGED, {"breaker": opened, "retries": 0})


def test_what_changes_nothing_is_not_recorded(store: Store) -> None:
    """A closed breaker is closed, and a timer gets the attributes that it has."""
    table = TimerTable(store)
    table.add([MONDAY], now=START)
    table.reset("monday")
    table.disable("monday")
    table.edit("monday", PRODUCTION, {"limit_s": 15}, now=START)
    assert [record.action for record in recorded(store)] == [Action.ADDED]


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.add([replace(MONDAY, name="other")], now=START),
        lambda table: table.enable("monday", now=START),
        lambda table: table.remove("monday"),
    ],
)
def test_a_change_that_cannot_be_recorded_is_not_made(store: Store, change: Callable[[TimerTable], object]) -> None:
    """Timer and record are written in one transaction."""
    table = TimerTable(store)
    table.add([MONDAY], now=START)
    with store.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE changes RENAME TO gone")
    with pytest.raises((StoreError, DBAPIError)):
        change(table)
    assert [(entry.timer.name, entry.timer.enabled) for entry in table.list()] == [("monday", False)]


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NAMES),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.just("enable"), NAMES),
        st.tuples(st.just("disable"), NAMES),
        st.tuples(st.just("rename"), NAMES, NAMES),
        st.tuples(st.just("edit"), NAMES, st.sampled_from([{"limit_s": 1}, {"trigger": Every(5)}, {"retries": 2}])),
    ),
    max_size=25,
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_changes_lead_to_the_timers(memory: Store, steps: list[tuple[Any, ...]]) -> None:
    """Applied to nothing, one after the other, they give every timer as it is: none is missing, none is wrong."""
    empty(memory)
    table = TimerTable(memory)
    for step in steps:
        carry_out(table, *step)
    replayed: dict[str, dict[str, Any]] = {}
    for record in recorded(memory):
        replay(replayed, record)
    assert replayed == {entry.timer.name: as_object(entry) for entry in table.list()}
    assert {name: entry["trigger"] for name, entry in replayed.items()} == {
        entry.timer.name: {"kind": entry.timer.trigger.kind, **entry.timer.trigger.as_json()} for entry in table.list()
    }


def carry_out(table: TimerTable, what: str, name: str, more: Any = None) -> None:
    try:
        match what:
            case "add":
                table.add([replace(MONDAY, name=name)], now=START, quota=0)
            case "remove":
                table.remove(name)
            case "enable":
                table.enable(name, now=START)
            case "disable":
                table.disable(name)
            case "rename":
                table.edit(name, PRODUCTION, {"name": more}, now=START)
            case "edit":
                table.edit(name, PRODUCTION, more, now=START)
    except TimerError:
        return


def replay(timers: dict[str, dict[str, Any]], record: ChangeRecord) -> None:
    if record.action is Action.REMOVED:
        assert timers.pop(record.name) == record.before
        return
    assert record.after is not None
    before = {} if record.action is Action.ADDED else timers.pop(record.former_name or record.name)
    assert record.before is None or {name: before[name] for name in record.before} == record.before
    timers[record.name] = {**before, **record.after}


def as_object(entry: StoredTimer) -> dict[str, Any]:
    timer = entry.timer
    values = {row.name: row.to_json(getattr(timer, row.name)) for row in ATTRIBUTES}
    trigger = {"kind": timer.trigger.kind, **timer.trigger.as_json()}
    return json.loads(json.dumps({**values, "trigger": trigger, "breaker": None}))


def test_a_trigger_can_be_read_from_its_record(store: Store) -> None:
    """With its anchor, so that an edit can be undone."""
    table = TimerTable(store)
    (entry,) = table.add([replace(MONDAY, trigger=Every(90))], now=START)
    (record,) = recorded(store)
    assert record.after is not None
    kept = dict(record.after["trigger"])
    assert read_trigger(kept.pop("kind"), json.dumps(kept)) == entry.timer.trigger


# The revision


def test_an_edit_of_a_timer_that_somebody_else_has_changed_is_refused(store: Store) -> None:
    """It says who and when, and changes nothing; with the present revision it is made."""
    table = TimerTable(store)
    (read,) = table.add([MONDAY], now=START)
    table.edit("monday", PRODUCTION, {"retries": 1}, now=START, by=ANN)
    for change in (
        lambda: table.edit("monday", PRODUCTION, {"retries": 2}, now=START, expected=read.revision),
        lambda: table.enable("monday", now=START, expected=read.revision),
        lambda: table.disable("monday", expected=read.revision),
        lambda: table.reset("monday", expected=read.revision),
        lambda: table.remove("monday", expected=read.revision),
    ):
        with pytest.raises(TimerChangedError, match=r"'monday' in production was changed meanwhile by ann@example at"):
            change()
    (now,) = table.list()
    assert (now.timer.retries, now.timer.enabled) == (1, False)
    assert table.edit("monday", PRODUCTION, {"retries": 2}, now=START, expected=now.revision).timer.retries == 2


def test_every_edit_changes_the_revision(store: Store) -> None:
    """That of a new timer with the name of a removed one differs too."""
    table = TimerTable(store)
    seen = [table.add([MONDAY], now=START)[0].revision]
    seen.append(table.enable("monday", now=START).revision)
    seen.append(table.disable("monday").revision)
    seen.append(table.get("monday").revision)
    table.remove("monday")
    seen.append(table.add([MONDAY], now=START)[0].revision)
    assert seen[2] == seen[3]
    assert len(set(seen)) == 4


# Names


def test_the_history_of_a_timer_follows_it_through_its_names(store: Store) -> None:
    """And shows an earlier timer of the present name, but not what became of a former name later."""
    table = TimerTable(store)
    table.add([MONDAY], now=START)
    table.edit("monday", PRODUCTION, {"name": "b"}, now=START)
    table.add([replace(MONDAY, function="other")], now=START)
    table.edit("b", PRODUCTION, {"name": "c"}, now=START)
    table.edit("c", PRODUCTION, {"retries": 1}, now=START)

    def actions(name: str) -> list[str]:
        wanted = ChangeFilter(name=name, environment=PRODUCTION)
        return [f"{record.action} {record.name}" for record in recorded(store, wanted)]

    assert actions("c") == ["added monday", "renamed b", "renamed c", "changed c"]
    assert actions("b") == ["added monday", "renamed b", "renamed c"]
    assert actions("monday") == ["added monday", "renamed b", "added monday"]
    assert actions("d") == []


def test_a_timer_that_gets_its_former_name_back_has_each_change_once(store: Store) -> None:
    """Names that go round in a circle end."""
    table = TimerTable(store)
    table.add([MONDAY], now=START)
    for _ in range(3):
        table.edit("monday", PRODUCTION, {"name": "b"}, now=START)
        table.edit("b", PRODUCTION, {"name": "monday"}, now=START)
    assert len(recorded(store, ChangeFilter(name="monday", environment=PRODUCTION))) == 7


# Authors


def test_a_declaration_is_an_author(store: Store) -> None:
    """By its place; so is the lack of one."""
    declared = DeclaredTimer(MONDAY, "cloud.py:12")
    synchronise(store, [declared], PRODUCTION, now=START)
    synchronise(store, [declared], PRODUCTION, now=START)
    synchronise(store, [DeclaredTimer(replace(MONDAY, enabled=True), "cloud.py:13")], PRODUCTION, now=START)
    synchronise(store, [], PRODUCTION, now=START)
    assert [(record.author, record.way, record.action, record.why) for record in recorded(store)] == [
        ("cloud.py:12", Way.DECLARATION, Action.ADDED, ""),
        ("cloud.py:13", Way.DECLARATION, Action.ENABLED, ""),
        ("@engine.timer", Way.DECLARATION, Action.DISABLED, "it is no longer declared"),
    ]


def test_the_author_is_the_user_of_this_program_unless_one_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without a name, as in a container, has a number."""
    monkeypatch.setattr("socket.gethostname", lambda: "host\x1b")
    TimerTable(store).add([MONDAY], now=START)

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    TimerTable(store).enable("monday", now=START)
    first, second = [record.author for record in recorded(store)]
    assert first.endswith("@host?")
    assert second == "uid 4711@host?"


@pytest.mark.parametrize(
    ("name", "why", "message"),
    [
        ("ann", "x" * 501, "the reason of a change has 501 characters; at most 500 are allowed"),
        ("ann", "\x1b[2J", "the reason of a change has a control character"),
        ("ann\0", "", "the author of a change has a control character"),
        ("a" * 201, "", "the author of a change has 201 characters"),
        ("ann", "\ud800", "the reason of a change has a control character"),
        ("ann", None, "the reason of a change must be text, got None"),
    ],
)
def test_an_author_that_cannot_be_shown_is_refused(name: str, why: Any, message: str) -> None:
    """Before anything is changed; a reason of several lines is fine."""
    with pytest.raises(TimerError, match=message):
        Author(name, Way.API, why)
    assert Author("安", Way.API, "one\ntwo").why == "one\ntwo"


# How long they are kept


def test_changes_are_deleted_as_old_as_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions; the younger ones stay."""
    monkeypatch.setattr(retention, "MAX_RUNS", 4)
    table = TimerTable(store)
    table.add([MONDAY], now=START)
    for day in range(1, 10):
        table.edit("monday", PRODUCTION, {"retries": day}, now=START + timedelta(days=day))
    pruning = Retention(store, timedelta(days=3))
    now = START + timedelta(days=9, hours=1)
    while pruning.prune(now):
        pass
    assert [record.at for record in recorded(store)] == [START + timedelta(days=day) for day in (7, 8, 9)]
    with store.reading() as connection:
        kept = connection.execute(changes.select()).all()
    assert min(row.at for row in kept) == stamp(START + timedelta(days=7))
