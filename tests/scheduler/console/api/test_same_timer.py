"""A timer that the API makes equals the one of Timer(...), and of the command line; all of them refuse the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scheduler.console.typed_times import BOUNDS
from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.environments import Environment
from scheduler.core.timer import Timer
from scheduler.core.trigger_kinds import TRIGGERS, chosen_kind, trigger_options
from scheduler.errors import TimerError
from scheduler.store.database import Store
from scheduler.store.stored_timer import StoredTimer
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.command_line import CommandLine

from ..conftest import HOSTILE, Place
from .conftest import Program

HOSTILE_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "a",
            " a",
            HOSTILE,
            "名字",
            "e\u0301",
            "\ud800",
            "\0",
            "a\nb",
            "\u202e",
            "x" * 201,
            "..",
            "-x",
            "=1+1",
        ]
    ),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 15, 15.0, 0.5, 1e-9, 86_400, 86_400.5, 1e300, 10**30, 2**63, -0.0]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
WHOLE = st.one_of(st.integers(), st.sampled_from([0, 1, 5, 100, 101, 2**31, 2**63]))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
INSTANTS = st.sampled_from(
    [
        "2026-12-01T00:00:00Z",
        "2026-12-01T00:00",
        "2099-12-31",
        "1969-01-01T00:00Z",
        "soon",
        "",
        "2027-01-01T00:00+14:00",
    ]
)
TRIGGER = st.sampled_from(
    [
        {"cron": "0 30 2 ? * MON-FRI", "tz": "America/New_York"},
        {"cron": " 0 0 8 * * ? ", "tz": "Asia/Shanghai", "dst": "quartz"},
        {"cron": "0 75 8 * * ?", "tz": "UTC"},
        {"cron": "0 0 0 31 2 ?", "tz": "UTC"},
        {"cron": "0 0 8 * * ?", "tz": "Mars/Olympus"},
        {"every": 90},
        {"every": 0},
        {"every": 2**70},
        {"rrule": "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9", "tz": "Europe/Berlin"},
    ]
)


def values_of(attribute: str) -> st.SearchStrategy[Any]:
    """JSON values of an attribute's type, allowed ones and others."""
    row = next(row for row in ATTRIBUTES if row.name == attribute)
    field = Timer.__dataclass_fields__[attribute]
    default = row.to_json(field.default_factory() if callable(field.default_factory) else field.default)
    if row.choices:
        return st.sampled_from([*row.choices, "never", row.choices[0].upper()])
    if attribute in ("starts_at", "ends_at"):
        return INSTANTS | st.none()
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, int):
        return WHOLE
    if isinstance(default, float):
        return NUMBERS
    if isinstance(default, list):
        return st.lists(HOSTILE_TEXTS, max_size=3) | st.just(["t"] * 21)
    if isinstance(default, dict):
        return st.dictionaries(HOSTILE_TEXTS, JSON, max_size=3)
    return HOSTILE_TEXTS


#: The calendar has to be in the store.
FREE = [row.name for row in ATTRIBUTES if row.name not in ("name", "environment", "calendar")]
ATTRIBUTE_VALUES = st.fixed_dictionaries(
    {"function": st.just("send") | HOSTILE_TEXTS},
    optional={name: values_of(name) for name in FREE if name != "function"},
)


def made_by_timer(values: dict[str, Any], trigger: dict[str, Any], place: Place) -> StoredTimer | TimerError:
    """The timer of a program."""
    kind = chosen_kind(trigger, list(TRIGGERS.values()))
    assert kind is not None
    try:
        options = {option.name: option.read(trigger[option.name]) for option in kind.options if option.name in trigger}
        timer = Timer(name="report", trigger=kind.from_options(options), **{"limit_s": 15.0, **values})
        with Store("sqlite://") as store:
            return TimerTable(store).add([timer], now=place.now)[0]
    except TimerError as error:
        return error


def is_said(error: TimerError, detail: str, values: dict[str, Any]) -> bool:
    """Whether the API refused the values with the words of Timer."""
    if any(values.get(name) == "soon" for name in BOUNDS) and "'soon' is not a time; write it as in" in detail:
        return True  # the API reads `in 2 days` too, before the rest, and gives examples of that
    return str(error).encode("utf-8", "replace").decode() in detail or "\ud800" in str(error)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(values={"function": "send", "starts_at": "soon"}, trigger={"every": 90})
@example(values={"function": "send", "ends_at": "soon"}, trigger={"every": 90})
@given(values=ATTRIBUTE_VALUES, trigger=TRIGGER)
def test_the_api_makes_what_a_program_makes(
    place: Place, program: Program, values: dict[str, Any], trigger: dict[str, Any]
) -> None:
    """Attribute by attribute, whatever the values; what Timer refuses is refused with its field and its words."""
    made = made_by_timer(values, trigger, place)
    body = json.dumps({**values, **trigger})
    answer = program.send("PUT", "timers/production/report", body, Content_Type="application/json")
    if isinstance(made, TimerError):
        if answer.status_code == 400:
            # A number that JSON does not have.
            assert "is no JSON number" in answer.json["detail"]
            assert re.search(r"\b(Infinity|NaN)\b", body)
            return
        assert answer.status_code == 422, answer.text
        assert is_said(made, answer.json["detail"], values), answer.text
        return
    assert answer.status_code == 201, answer.text
    stored = place.timers.get("report").timer
    place.timers.remove("report", now=place.now)
    for row in ATTRIBUTES:
        assert row.to_store(getattr(stored, row.name)) == row.to_store(getattr(made.timer, row.name)), row.name
    assert stored.trigger == made.timer.trigger


#: Definitions for all three: JSON values by name of the attribute or option.
BOTH: list[dict[str, Any]] = [
    {"cron": "0 30 2 ? * MON-FRI", "tz": "America/New_York", "dst": "quartz"},
    {"every": "1h 30m", "params": {"to": HOSTILE, "n": [1, None, 2.5]}, "tags": ["b", "a", "<b>"]},
    {"every": "2 weeks", "at": "09:00", "start": "2026-12-01", "tz": "Asia/Shanghai"},
    {"at": ["2027-12-24T18:00+01:00"], "tz": "UTC", "description": "eve\n=1+1"},
    {"rrule": "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9", "tz": "Europe/Berlin"},
    {"every": 60, "limit_s": 2.5, "retries": 3, "retry_backoff_s": 0.5, "breaker_threshold": 0, "jitter_s": 30},
    {"every": 60, "misfire": "skip", "overlap": "queue_one", "delivery": "at_least_once"},
    {"cron": "0 0 8 * * ?", "tz": "UTC", "starts_at": "2027-01-01T00:00", "ends_at": "2028-01-01T00:00+08:00"},
    {"every": 60, "max_runs": 5, "max_concurrent": 2, "grace_s": 1.5, "catch_up_s": 60.0, "pause_on_failure": True},
    {"every": 60, "description": HOSTILE, "tags": ["名字"]},
    {"every": 60, "limit_s": 0},
    {"cron": "0 75 8 * * ?", "tz": "UTC"},
    {"every": 60, "jitter_s": 61},
    {"every": 60, "description": "a\u202eb"},
]


def words_of(body: dict[str, Any]) -> list[str]:
    """The options of the command line for a body."""
    options = {row.name: row for row in (*trigger_options(list(TRIGGERS.values())), *ATTRIBUTES)}
    words = []
    for name, value in body.items():
        option = options[name]
        given = value if isinstance(value, list) and name == "at" else [value]
        for one in given:
            if name == "params":
                text = json.dumps(one)
            elif name == "tags":
                text = ",".join(one)
            else:
                text = str(one).lower() if isinstance(one, bool) else str(one)
            words.append(f"{option.flags[-1]}={text}")
    return words


def test_the_api_makes_what_the_command_line_makes(
    place: Place, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attribute by attribute, or both refuse with the same words."""
    monkeypatch.chdir(tmp_path)
    line = CommandLine(tmp_path)
    for number, body in enumerate(BOTH):
        result = line.run("timers", "add", f"t{number}", "--function", "send", "--no-check", *words_of(body))
        answer = program.send("PUT", f"timers/production/t{number}", {"function": "send", **body})
        if result.exit_code:
            assert answer.status_code == 422, (result.output, answer.text)
            shown = answer.json["detail"].splitlines()[0]
            assert shown.encode("unicode_escape").decode() in result.output or shown in result.output, result.output
        else:
            assert answer.status_code == 201, (result.output, answer.text)
    with Store(str(tmp_path / ".scheduler" / "store.db")) as store:
        theirs = [entry.timer for entry in TimerTable(store).list(Environment.PRODUCTION)]
    ours = [entry.timer for entry in place.timers.list()]
    assert len(theirs) >= 10
    for mine, other in zip(ours, theirs, strict=True):
        for row in ATTRIBUTES:
            assert row.to_store(getattr(mine, row.name)) == row.to_store(getattr(other, row.name)), (mine, row.name)
        assert mine.trigger.option_values() == other.trigger.option_values()
