"""What fires when; what a trigger means; backfills."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from scheduler.console.preview import MAX_TEXT
from scheduler.core.timer import Timer
from scheduler.core.triggers import Every

from ..conftest import START, Place
from .conftest import CRON, Program

REPORT = "timers/production/report"


def test_the_fires_of_a_timer_go_on_page_by_page(program: Program) -> None:
    """Each page ends where the next one begins; instants are in the timer's zone; none is before `from`."""
    program.does("PUT", REPORT, CRON, status=201)
    first = program.get(f"{REPORT}/fires?limit=3")
    assert [item["fire_time"] for item in first["items"]] == [
        "2026-12-01T02:30:00-05:00",
        "2026-12-02T02:30:00-05:00",
        "2026-12-03T02:30:00-05:00",
    ]
    following = program.get(f"{REPORT}/fires?limit=1&from={first['next']}")
    assert following["items"][0]["fire_time"] == "2026-12-04T02:30:00-05:00"
    span = program.get(f"{REPORT}/fires?from=2026-12-01T00:00:00-05:00&to=2026-12-02T02:30:00-05:00")
    assert len(span["items"]) == 1
    assert span["next"] is None


def test_a_plus_sign_that_an_address_lost_is_one(program: Program) -> None:
    """A client that does not escape it in a query gets what it meant."""
    program.does("PUT", REPORT, CRON, status=201)
    lost = program.get(f"{REPORT}/fires?limit=1&from=2026-12-01T00:00:00+08:00")
    assert lost == program.get(f"{REPORT}/fires?limit=1&from=2026-12-01T00:00:00%2B08:00")


def test_the_fires_of_all_enabled_timers(place: Place, program: Program) -> None:
    """In one order, of those that match."""
    place.fill()
    place.timers.add([Timer(name="b", function="f", trigger=Every(3600), tags=["x"], enabled=True)], now=place.now)
    fires = program.get("fires?to=2026-12-01T08:00:00Z")["items"]
    assert {item["timer"] for item in fires} == {"b", "report"}
    assert {item["timer"] for item in program.get("fires?tag=x&limit=5")["items"]} == {"b"}


def test_a_wrong_span_is_refused(program: Program) -> None:
    """With the name of the parameter."""
    program.does("PUT", REPORT, CRON, status=201)
    for query in ("from=soon", "from=", "to=2020-01-01T00:00Z", "limit=x", "on=1"):
        assert program.refused(422, "GET", f"{REPORT}/fires?{query}")["field"] == query.partition("=")[0]


def test_an_expression_is_explained(program: Program) -> None:
    """With everything that the editor shows: words, fires, clock changes, advice, a year."""
    said = program.does("POST", "cron", CRON_BODY)
    assert said["words"]["en"] == "At 02:30, Monday to Friday"
    assert "周一" in said["words"]["zh"] or "星期一" in said["words"]["zh"]
    assert said["fires"][0] == "2026-12-01T02:30:00-05:00"
    assert len(said["fires"]) == 10
    assert (said["tz"], said["shortest_s"]) == ("America/New_York", 86_400)
    assert sum(said["year"]["days"]) == said["year"]["total"]
    assert len(said["year"]["days"]) == 365
    night = program.does("POST", "cron", CRON_BODY | {"cron": "0 30 2 * * ?", "count": 1})
    assert night["clock_changes"][0]["at"].startswith("2027-03-14")
    assert len(night["fires"]) == 1
    assert night["canonical"] is None


CRON_BODY = {"cron": "0 30 2 ? * MON-FRI", "tz": "America/New_York"}


def test_advice_and_other_triggers(program: Program) -> None:
    """Every kind of trigger; advice has a code."""
    assert program.does("POST", "cron", {"cron": "0 */7 * * * ?"})["advice"][0]["code"] == "uneven_step"
    assert program.does("POST", "cron", {"every": 90})["per_year"] == 350_399
    jittered = {"cron": "0 0 8 * * ?", "tz": "UTC", "jitter_s": 60}
    seconds = {program.does("POST", "cron", jittered | {"name": name})["fires"][1][-8:-6] for name in "abcd"}
    assert len(seconds) > 1
    within = {"every": 60, "starts_at": "2027-01-01T00:00Z", "ends_at": "2027-01-01T00:05Z"}
    assert len(program.does("POST", "cron", within)["fires"]) == 4


#: A body, and the field that is wrong.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "cron"),
    ({"cron": "0 75 8 * * ?"}, "cron"),
    ({"cron": "0 0 0 31 2 ?"}, "cron"),
    ({"cron": "x" * (MAX_TEXT + 1)}, "cron"),
    ({"cron": ""}, "cron"),
    ({"every": "soon"}, "every"),
    ({"every": 60, "every_s": 60}, "every_s"),
    ({"every": 60, "year": 1969}, "year"),
    ({"every": 60, "count": 1_001}, "count"),
    ({"cron": "0 0 8 * * ?", "calendar": "none"}, "calendar"),
    ({"every": 60, "roll": "sideways"}, "roll"),
    ({"any_of": [{"every": 0}]}, "any_of"),
]


def test_what_is_wrong_with_a_trigger_is_named(program: Program) -> None:
    """As when it is saved."""
    for body, field in WRONG:
        assert program.refused(422, "POST", "cron", body)["field"] == field, body


def test_another_dialect_is_offered_as_quartz(program: Program) -> None:
    """As the editor does."""
    problem = program.refused(422, "POST", "cron", {"cron": "*/5 * * * *"})
    assert {"dialect": "crontab", "expression": "0 0/5 * * * ?"} in problem["pasted"]


def test_a_backfill_is_shown_entered_and_taken_back(place: Place, program: Program) -> None:
    """As the command does with --dry-run, without, and with --cancel."""
    place.timers.add([Timer(name="report", function="f", trigger=Every(3600), enabled=True)], now=place.now)
    place.wait(hours=5)
    begin, end = START.strftime("%Y-%m-%dT%H:%MZ"), (START + timedelta(hours=1, minutes=1)).strftime("%Y-%m-%dT%H:%MZ")
    plan = program.get(f"{REPORT}/backfill?from={begin}&to={end}")
    assert not plan["entered"]
    assert program.get("runs")["items"] == []
    answer = program.does("POST", f"{REPORT}/backfill", {"from": begin, "to": end}, status=202)
    assert answer["entered"]
    assert len(program.get("runs?kind=backfill")["items"]) == len(plan["fire_times"])
    assert program.does("DELETE", f"{REPORT}/backfill") == {"cancelled": len(plan["fire_times"])}
    assert program.refused(422, "POST", f"{REPORT}/backfill", {})["field"] == "from"
    program.refused(422, "POST", f"{REPORT}/backfill", {"from": begin, "to": "2099-01-01T00:00Z"})
