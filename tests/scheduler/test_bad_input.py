"""Bad definitions of timers, by each way in: a program, a declaration, a list, the command line, the API.

Each is refused with one clear message, which says what is wrong, and nothing is stored; or it is warned of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from quartzcron.calendars import WorkingDays
from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.timer import Environment, Timer
from scheduler.core.trigger_kinds import TRIGGERS, chosen_kind, trigger_options
from scheduler.engine import Engine
from scheduler.errors import SchedulerError
from scheduler.functions.declarations import declared_timers
from scheduler.project.settings import read_settings
from scheduler.store.calendars import CalendarTable
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CommandLine

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
NAN, LONG = float("nan"), 10**5000
OPTIONS = {row.name: row for row in (*trigger_options(list(TRIGGERS.values())), *ATTRIBUTES)}
OF_TRIGGERS = {option.name for option in trigger_options(list(TRIGGERS.values()))}
Given = Mapping[str, Any]
#: Makes a timer of a definition; returns the error, "" if there is none.
Way = Callable[[Given], str]


@contextmanager
def _by_program(_: Path) -> Iterator[Way]:
    with _store() as store:

        def refused(given: Given) -> str:
            attributes = {name: value for name, value in given.items() if name not in OF_TRIGGERS}
            kind = chosen_kind(given, list(TRIGGERS.values()))
            assert kind is not None
            try:
                timer = Timer(name="t", function="hello", trigger=kind.from_options(given), **attributes)
                TimerTable(store).add([timer], now=NOW)
            except SchedulerError as error:
                return str(error)
            return ""

        yield refused
        assert TimerTable(store).list() == []


@contextmanager
def _by_declaration(_: Path) -> Iterator[Way]:
    with _store() as store:

        def refused(given: Given) -> str:
            engine, options = Engine(), dict(given)
            try:
                engine.timer(options.pop("cron", None), **options)(dict)
                declared = declared_timers(engine.registry, Environment.PRODUCTION)
                synchronise(store, declared, Environment.PRODUCTION, now=NOW)
            except SchedulerError as error:
                return str(error)
            return ""

        yield refused
        assert TimerTable(store).list() == []


@contextmanager
def _by_api(folder: Path) -> Iterator[Way]:
    pytest.importorskip("flask_openapi3")
    from scheduler.console.app import make_app
    from scheduler.console.current import EXTENSION
    from scheduler.console.tokens import TokenTable

    with _store() as store:
        app = make_app(store, read_settings(folder, {}, {}), now=lambda: NOW)
        token = TokenTable(store).add("x", "operator", now=NOW)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

        def refused(given: Given) -> str:
            body = _json({"function": "hello", **given})
            answer = app.test_client().put("/api/1/timers/production/t", data=body, headers=headers, buffered=True)
            assert answer.status_code < 300 or answer.status_code in (400, 413, 422), answer.text
            return str(answer.json["detail"]) if answer.status_code >= 300 else ""

        yield refused
        app.extensions[EXTENSION].close()
        assert TimerTable(store).list() == []


@contextmanager
def _by_list(folder: Path) -> Iterator[Way]:
    with _command_line(folder) as line:

        def refused(given: Given) -> str:
            line.write("list.json", f"[{_json({'name': 't', 'function': 'hello', **given})}]")
            return line.refusal("timers", "import", "--no-check", "list.json")

        yield refused


@contextmanager
def _by_command(folder: Path) -> Iterator[Way]:
    with _command_line(folder) as line:

        def refused(given: Given) -> str:
            words = [f"{OPTIONS[name].flags[-1]}={text}" for name, value in given.items() for text in _words(value)]
            return line.refusal("timers", "add", "t", "--function", "hello", "--no-check", *words)

        yield refused


def _store() -> Store:
    store = Store("sqlite://")
    CalendarTable(store).add("firm", WorkingDays(), now=NOW)
    return store


@contextmanager
def _command_line(folder: Path) -> Iterator[CommandLine]:
    line = CommandLine(folder)
    line.run("calendars", "add", "firm")
    yield line
    assert line.json("timers", "list") == []


def _words(value: Any) -> list[str]:
    """A value as the words of an option."""
    if isinstance(value, list):
        return value if value[0][:2].isdigit() else [",".join(value)]
    return [_json(value) if isinstance(value, dict) else "9" * 5_001 if value == LONG else str(value)]


def _json(value: Any) -> str:
    """JSON of a value, with a number that Python writes as little as it reads it."""
    return json.dumps(_marked(value)).replace('"LONG"', "9" * 5_001)


def _marked(value: Any) -> Any:
    return (
        {name: _marked(one) for name, one in value.items()}
        if isinstance(value, dict)
        else ("LONG" if value == LONG else value)
    )


WAYS: Mapping[str, Callable[[Path], AbstractContextManager[Way]]] = {
    "program": _by_program,
    "declaration": _by_declaration,
    "list": _by_list,
    "command": _by_command,
    "api": _by_api,
}
#: What JSON, or a command line, cannot say is refused before the rest.
NO_NUMBER = {"api": "the body is not JSON: NaN is no JSON number"}
TOO_LONG = {
    "list": "line 1: invalid JSON: a number has too many digits",
    "api": "the body is not JSON: a number has too many digits",
    "command": "expected a",
}


class Case(NamedTuple):
    """A bad definition; what each way says of it, and what some say instead."""

    given: Mapping[str, Any]
    said: str
    instead: Mapping[str, str] = {}


EVERY = {"every": 60}
DAILY = {"cron": "0 0 8 * * ?", "tz": "UTC"}
PAST = "2020-01-01T00:00:00+00:00"
IS_PAST = {"command": "2020-01-01 00:00:00+00:00 is past; --allow-past keeps such times of a list"}
CASES: Mapping[str, Case] = {
    "at in the past": Case({"at": [PAST], "tz": "UTC"}, "never fires after", IS_PAST),
    "at in the year 9999": Case({"at": ["9999-12-31T23:00-14:00"], "tz": "UTC"}, "is outside the years 1970 to 2099"),
    "1,001 instants": Case(
        {"at": [f"2090-01-01T{n // 60:02}:{n % 60:02}:00Z" for n in range(1_001)], "tz": "UTC"},
        "a trigger has from 1 to 1,000 instants, got 1,001",
    ),
    "an empty window": Case(
        {**DAILY, "starts_at": "2090-01-01T00:00Z", "ends_at": "2090-01-01T00:00Z"},
        "the window from 2090-01-01 00:00:00Z until 2090-01-01 00:00:00Z is empty",
    ),
    "a window that is past": Case({**DAILY, "ends_at": "2020-01-01T00:00Z"}, "never fires after"),
    "a window between two fires": Case(
        {**DAILY, "starts_at": "2090-01-01T09:00Z", "ends_at": "2090-01-01T10:00Z"}, "never fires after"
    ),
    "a roll without a calendar": Case({**DAILY, "roll": "following"}, "roll 'following' needs a calendar"),
    "a calendar that nobody has added": Case({**DAILY, "calendar": "nowhere"}, "no calendar 'nowhere'"),
    "a calendar with an interval of seconds": Case(
        {**EVERY, "calendar": "firm"},
        "a calendar goes with a trigger that fires on days of a time zone, unlike 'every 1 min'",
    ),
    "a calendar on which it never fires": Case(
        {"cron": "0 0 8 ? * MON-FRI", "tz": "UTC", "calendar": "firm", "roll": "only_off"}, "never fires after"
    ),
    "a million seconds": Case(
        {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=SECONDLY;COUNT=1000000", "tz": "UTC"},
        "COUNT must be from 1 to 10,000, got '1000000'",
    ),
    "every second of no day": Case(
        {"rrule": "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=31", "tz": "UTC"}, "never fires after"
    ),
    "COUNT and UNTIL": Case(
        {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=DAILY;COUNT=5;UNTIL=20270101T000000Z", "tz": "UTC"},
        "COUNT and UNTIL exclude each other",
    ),
    "a rule with an escape sequence": Case(
        {"rrule": "FREQ=DAILY;BYHOUR=\x1b[31m", "tz": "UTC"}, "BYHOUR has numbers from 0 to 23, got '\\x1b[31M'"
    ),
    "a rule of 10 kB": Case({"rrule": "FREQ=DAILY;BYHOUR=" + "1," * 5_000, "tz": "UTC"}, "of at most 4,000 characters"),
    "a ping that is a file": Case({**EVERY, "ping_url": "file:///etc/passwd"}, "ping_url = 'file:///etc/passwd'"),
    "a ping with a header in it": Case({**EVERY, "ping_url": "http://h.example/\r\nX: y"}, "expected an address"),
    "a ping of 100 kB": Case(
        {**EVERY, "ping_url": "http://h.example/" + "x" * 100_000}, "an address of at most 2,000 characters"
    ),
    "a tag that rings": Case({**EVERY, "tags": ["a\x07b"]}, "has the control character U+0007 at column 2"),
    "a tag with NUL": Case({**EVERY, "tags": ["a\0b"]}, "has the control character U+0000 at column 2"),
    "a tag that turns round": Case({**EVERY, "tags": ["a\u202eb"]}, "has the control character U+202E at column 2"),
    "a tag that is too long": Case({**EVERY, "tags": ["x" * 101]}, "a tag has 101 characters; at most 100"),
    "10,000 tags": Case({**EVERY, "tags": [f"t{n}" for n in range(10_000)]}, "a timer has at most 20 tags, got 10000"),
    "a description of 1 MB": Case(
        {**EVERY, "description": "x" * 1_000_000},
        "a description has 1,000,000 characters; at most 2,000",
        {"api": "the body is too large; it has at most 1 MB"},
    ),
    "max_runs -1": Case({**EVERY, "max_runs": -1}, "max_runs must be a whole number from 0 to 1,000,000,000, got -1"),
    "max_runs 2**70": Case({**EVERY, "max_runs": 2**70}, f"from 0 to 1,000,000,000, got {2**70}"),
    "max_runs of 5,001 digits": Case({**EVERY, "max_runs": LONG}, "got an int with too many digits", TOO_LONG),
    "grace_s NaN": Case({**EVERY, "grace_s": NAN}, "from 0 to 31,536,000, got nan", NO_NUMBER),
    "grace_s of 5,001 digits": Case({**EVERY, "grace_s": LONG}, "too many digits", {**TOO_LONG, "command": "got inf"}),
    "catch_up_s NaN": Case({**EVERY, "catch_up_s": NAN}, "from 0 to 31,536,000, got nan", NO_NUMBER),
    "catch_up_s within grace_s": Case({**EVERY, "catch_up_s": 1}, "catch_up_s is 1, less than grace_s, 5"),
    "limit_s of 5,001 digits": Case({**EVERY, "limit_s": LONG}, "too many digits", {**TOO_LONG, "command": "got inf"}),
    "every 0 weeks": Case(
        {"every": "0 weeks"},
        "expected an interval as in 60, 90s",
        dict.fromkeys(("program", "declaration"), "got none of them"),
    ),
    "every half second": Case(
        {"every": 0.5},
        "0.5",
        {"program": "an interval must be a whole number of seconds, got 0.5", "api": "every: expected text or a whole"},
    ),
    "every 5,001 digits": Case({"every": LONG}, "got an int with too many digits", TOO_LONG),
    "a parameter of 5,001 digits": Case({**EVERY, "params": {"n": LONG}}, "a number has too many digits"),
    "a parameter that is not a number": Case(
        {**EVERY, "params": {"n": NAN}}, "Out of range float values are not JSON compliant", NO_NUMBER
    ),
    "its own follower": Case({**EVERY, "then": ["t"]}, "t", {"declaration": "no timer 't' in production"}),
    "an unknown follower": Case({**EVERY, "then": ["nowhere"]}, "then: no timer 'nowhere' in production"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_definition_is_refused_with_one_clear_message(way: str, folder: Path) -> None:
    """In less than a kilobyte, without control characters, and nothing is stored."""
    with WAYS[way](folder) as refused:
        for name, case in CASES.items():
            text = refused(case.given)
            assert case.instead.get(way, case.said) in text, (name, text[:1_000])
            assert len(text) < 1_000, name
            assert all(line.isprintable() for line in text.splitlines()), (name, text)
            assert "sys.set_int" not in text, name


def test_a_bad_timer_of_a_list_is_named(folder: Path) -> None:
    """By its line; what only the store knows is said with the name of the timer. Nothing of the list is stored."""
    line = CommandLine(folder)
    good = {"name": "good", "function": "f", "every": 60}
    for bad, said in (
        ({"cron": "0 0 8 * * ?", "tz": "UTC", "roll": "following"}, "line 2, roll: roll 'following' needs a calendar"),
        ({"at": [PAST]}, "timer 'bad' in production: at 2020-01-01"),
        ({"cron": "0 0 8 * * ?", "calendar": "cn"}, "timer 'bad' in production: no calendar 'cn'"),
        ({"every": 60, "then": ["x"]}, "timer 'bad' in production: then: no timer 'x' in production"),
        ({"any_of": []}, "line 2, any_of: AnyOf takes from 1 to 100 triggers, got 0"),
        ({"every": 60, "max_runs": LONG}, "line 2: invalid JSON: a number has too many digits"),
    ):
        listed = [json.dumps(good), _json({"name": "bad", "function": "f", **bad})]
        line.write("list.json", f"[{listed[0]},\n{listed[1]}]")
        for command in ("import", "apply"):
            text = line.refusal("timers", command, "--no-check", "list.json")
            assert text.startswith(f"Error: {said}"), text
            assert text.count("\n") == 1, text
    assert line.run("timers", "list", "--json").stdout in ("", "[]\n")


def test_a_ping_to_a_private_address_is_warned_of(folder: Path) -> None:
    """By each command that adds it, and by the doctor; not where the setting allows it. It is stored all the same."""
    line = CommandLine(folder)
    warning = "is a private address; no ping is sent unless the service has ping_private = true"
    metadata, local = "http://169.254.169.254/latest", "http://[::1]:8000/x"
    added = line.run("timers", "add", "a", "--function", "f", "--no-check", "--every", "60", "--ping-url", metadata)
    assert f"a: 169.254.169.254 of its ping_url {warning}" in added.stderr
    edited = line.run("timers", "edit", "a", "--ping-url", local)
    assert f"a: ::1 of its ping_url {warning}" in edited.stderr
    line.write("list.json", json.dumps([{"name": "b", "function": "f", "every": 60, "ping_url": metadata}]))
    for command in ("import", "apply"):
        assert (
            f"b: 169.254.169.254 of its ping_url {warning}"
            in line.run("timers", command, "--no-check", "list.json").stderr
        )
    assert f"timer 'a': ::1 of its ping_url {warning}" in line.run("doctor").output
    line.write("scheduler.toml", "ping_private = true\n")
    assert "private" not in line.run("timers", "edit", "a", "--ping-url", metadata).stderr
    assert "private address" not in line.run("doctor").output


def test_a_calendar_needs_a_working_day(folder: Path) -> None:
    """An empty week is not that from Monday to Friday; a file that no calendar needs is refused before it is read."""
    line = CommandLine(folder)
    assert "week" in line.refusal("calendars", "add", "none", "--week", "")
    line.run("calendars", "add", "firm")
    assert "week" in line.refusal("calendars", "edit", "firm", "--week", "")
    for option, name in (("--ics", "big.ics"), ("--csv", "big.csv")):
        with (folder / name).open("wb") as file:
            file.truncate(50_000_000)
        assert f"{name} has more than 2 MB" in line.refusal("calendars", "add", "big", option, name)
    assert [one["name"] for one in line.json("calendars", "list")] == ["firm"]
