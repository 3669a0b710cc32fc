"""The service as a whole through the API: lists, pauses, calendars, tokens, import and export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.formats import timer_lists
from scheduler.functions.descriptions import FunctionDescription
from scheduler.store.catalogue import replace_functions

from ..conftest import HOSTILE, Place
from .conftest import CRON, Program


def test_what_the_service_is(place: Place, program: Program) -> None:
    """Functions, daemons, counts, settings with their origin, findings of the check-up."""
    place.fill()
    functions = {item["name"]: item["timers"] for item in program.get("functions")["items"]}
    assert functions == {"send": 1, HOSTILE: 1}
    assert program.get("instances")["items"] == []
    counts = program.get("statistics")
    assert counts["timers"] == {
        "production": {"enabled": 1, "disabled": 0},
        "stage": {"enabled": 0, "disabled": 1},
    }
    settings = {item["name"]: item for item in program.get("settings")["items"]}
    assert settings["console_port"] == {"name": "console_port", "value": "3001", "origin": "the default"}
    assert {item["name"] for item in program.get("checkup")["items"]} >= {"store", "timers", "clock"}


def test_functions_are_described(place: Place, program: Program) -> None:
    """Those that a process has loaded, called or not; the description of production comes first."""
    replace_functions(
        place.store, Environment.PRODUCTION, [FunctionDescription("clean", "(days=7)", "Tidy.", "c.py:3")]
    )
    replace_functions(place.store, Environment.STAGE, [FunctionDescription("clean", "()")])
    assert program.get("functions")["items"] == [
        {
            "name": "clean",
            "environments": ["production", "stage"],
            "timers": 0,
            "signature": "(days=7)",
            "doc": "Tidy.",
            "place": "c.py:3",
        }
    ]


def test_changes_are_found(place: Place, program: Program) -> None:
    """By name, author, way and subject, with their contents."""
    place.fill()
    program.does("PATCH", "timers/production/report", {"retries": 2, "why": "flaky"})
    (change,) = program.get("changes?way=api&subject=timer")["items"]
    assert (change["before"], change["after"]) == ({"retries": 0}, {"retries": 2})
    assert program.get("changes?author=oper&name=report&environment=production")["items"][0]["why"] == "flaky"
    page = program.get("changes?limit=1")
    assert program.get(f"changes?limit=1&cursor={page['next']}")["items"][0]["id"] < page["items"][0]["id"]


def test_everything_is_paused_and_resumed(place: Place, program: Program) -> None:
    """Or an environment, or a tag; with the reason."""
    place.fill()
    made = program.does("POST", "pause", {"why": "move", "until": "2026-12-01T00:00Z"})
    assert (made["by"], made["note"]) == ("operator", "move")
    assert datetime.fromisoformat(made["until"]) == datetime(2026, 12, 1, tzinfo=UTC)
    assert program.get("timers/production/report")["state"] == "paused"
    assert len(program.get("pauses")["items"]) == 1
    assert len(program.does("POST", "resume")["items"]) == 1
    program.does("POST", "pause", {"environment": "production", "tag": "billing"})
    program.refused(422, "POST", "resume", {"tag": "other"})
    program.does("POST", "resume", {"environment": "production", "tag": "billing", "skip": True})
    assert program.refused(422, "POST", "pause", {"until": "2020-01-01T00:00Z"})["field"] == "until"


def test_calendars_are_made_changed_and_removed(program: Program) -> None:
    """As the command does."""
    content = {"week": "MON-FRI", "holidays": ["2026-12-25"]}
    made = program.does("PUT", "calendars/firm", {"content": content, "source": "us"}, status=201)
    assert (made["holidays"], made["content"]["holidays"]) == (1, ["2026-12-25"])
    program.does("PUT", "calendars/firm", {"content": content | {"worked": ["2026-12-26"]}}, status=200)
    assert program.get("calendars/firm")["worked"] == 1
    assert [item["name"] for item in program.get("calendars")["items"]] == ["firm"]
    program.does("PUT", "timers/production/a", CRON | {"calendar": "firm"}, status=201)
    program.refused(409, "DELETE", "calendars/firm")
    assert program.send("DELETE", "timers/production/a").status_code == 204
    assert program.send("DELETE", "calendars/firm").status_code == 204
    program.refused(404, "GET", "calendars/firm")
    assert program.refused(422, "PUT", "calendars/x", {"content": {"week": "SUNDAYS"}})["field"] == "content"
    assert program.refused(422, "PUT", "calendars/x", {})["field"] == "content"


def test_tokens_are_made_and_removed(place: Place, program: Program) -> None:
    """The text of one is said once; the list never says it."""
    made = program.does("POST", "tokens", {"name": "vera", "days": 1}, status=201)
    assert made["role"] == "viewer"
    viewer = Program(place, None)
    viewer.headers["Authorization"] = f"Bearer {made['token']}"
    assert viewer.send("GET", "timers").status_code == 200
    assert made["token"] not in program.send("GET", "tokens").text
    assert program.refused(409, "POST", "tokens", {"name": "vera"})["field"] == "name"
    assert program.refused(422, "POST", "tokens", {"name": " "})["field"] == "name"
    assert program.send("DELETE", "tokens/vera").status_code == 204
    assert viewer.send("GET", "timers").status_code == 401
    program.refused(404, "DELETE", "tokens/vera")


# Import and export


@pytest.fixture
def filled(place: Place) -> Place:
    place.fill()
    return place


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_an_export_comes_back(filled: Place, program: Program, format_: str) -> None:
    """Into an empty store, with everything; applied once more it changes nothing."""
    answer = program.send("GET", f"export?format={format_}")
    before = [entry.timer for entry in filled.timers.list()]
    for timer in before:
        filled.timers.remove(timer.name, timer.environment, now=filled.now)
    dry = program.does("POST", "import?dry_run=true", answer.text, Content_Type=answer.content_type)
    assert [effect["effect"] for effect in dry["effects"]] == ["added", "added"]
    assert filled.timers.list() == []
    program.does("POST", "import?why=moved", answer.text, Content_Type=answer.content_type)
    after = [entry.timer for entry in filled.timers.list()]
    assert [timer_lists.as_object(timer) for timer in after] == [timer_lists.as_object(timer) for timer in before]
    again = program.does("POST", "import?mode=apply", answer.text, Content_Type=answer.content_type)
    assert (again["effects"], again["unchanged"]) == ([], 2)
    program.refused(409, "POST", "import", answer.text, Content_Type=answer.content_type)


def test_a_list_with_an_error_adds_nothing(place: Place, program: Program) -> None:
    """Each error has its line and its column."""
    text = "name,function,cron\na,f,0 0 8 * * ?\nb,f,0 75 8 * * ?\nc,,0 0 8 * * ?\n"
    problem = program.refused(422, "POST", "import", text, Content_Type="text/csv")
    assert [(item["line"], item["field"]) for item in problem["problems"]] == [(3, "cron"), (4, "function")]
    assert place.timers.list() == []


def test_an_error_in_a_list_on_one_line_names_its_timer(program: Program) -> None:
    """As a program sends it."""
    text = '[{"name": "a", "function": "f", "every": 60}, {"name": "b", "function": "f", "cron": "0 75 8 * * ?"}]'
    problem = program.refused(422, "POST", "import", text, Content_Type="application/json")
    assert [(item["timer"], item["field"]) for item in problem["problems"]] == [("b", "cron")]


def test_apply_may_prune(place: Place, program: Program) -> None:
    """What an environment has beside the list goes, if it is named."""
    place.timers.add(
        [
            Timer(name="old", function="f", trigger=Every(60)),
            Timer(name="kept", function="f", trigger=Every(60), environment=Environment.STAGE),
        ],
        now=place.now,
    )
    body = '[{"name": "new", "function": "f", "seconds": 60}]'
    sent: dict[str, Any] = {"Content_Type": "application/json"}
    program.refused(422, "POST", "import?prune=production", body, **sent)
    program.does("POST", "import?mode=apply&prune=production&enable=true", body, **sent)
    assert [(entry.timer.name, entry.timer.enabled) for entry in place.timers.list()] == [
        ("new", True),
        ("kept", False),
    ]


def test_a_list_may_be_longer_than_other_bodies(place: Place, program: Program) -> None:
    """Ten megabytes, not more; and it is text."""
    body = "name,function,seconds\n" + "\n" * 2_000_000 + "a,f,60\n"
    program.does("POST", "import", body, Content_Type="text/csv")
    program.refused(413, "POST", "import", "\n" * 10_000_001, Content_Type="text/csv")
    many = "name,function,seconds\n" + "".join(f"t{n},f,60\n" for n in range(10_001))
    problem = program.refused(422, "POST", "import?dry_run=true", many, Content_Type="text/csv")
    assert problem["detail"] == "at most 10,000 timers are changed at once, got 10,001"
    program.refused(415, "POST", "import", "a", Content_Type="text/html")
    program.refused(400, "POST", "import", b"\xff", Content_Type="text/csv")
