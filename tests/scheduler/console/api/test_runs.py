"""Runs and lines through the API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update

from scheduler.console.api.app import MAX_WAITING
from scheduler.console.api.runs import WAITING
from scheduler.console.current import API
from scheduler.core.environments import Environment
from scheduler.core.run import Outcome
from scheduler.core.timestamps import stamp
from scheduler.store.schema import lines, runs

from ..conftest import Place
from .conftest import Program


def end(place: Place, run_id: int, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    """Record the end of a run."""
    values = {"started_at": stamp(place.now), "ended_at": stamp(place.now), "outcome": outcome.value, "result": "[1]"}
    with place.store.writing() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(values))


def printed(place: Place, *texts: str) -> None:
    """Lines of the run 1."""
    with place.store.writing() as connection:
        for text in texts:
            values = {"run_id": 1, "at": stamp(place.now), "level": "info", "text": text}
            connection.execute(insert(lines).values(values))


def test_runs_are_found(place: Place, program: Program) -> None:
    """By timer, function, environment, kind, outcome and time; page by page."""
    place.fill()
    again = program.does("POST", "runs/1/again", {"note": "once more"}, status=202)
    assert again["id"] == 2
    end(place, 1)
    assert [run["id"] for run in program.get("runs")["items"]] == [2, 1]
    assert [run["id"] for run in program.get("runs?outcome=succeeded&outcome=failed&timer=report")["items"]] == [1]
    assert [run["id"] for run in program.get("runs?outcome=open&kind=manual")["items"]] == [2]
    page = program.get("runs?limit=1")
    assert [run["id"] for run in program.get(f"runs?limit=1&cursor={page['next']}")["items"]] == [1]
    assert program.get("runs?since=2027-01-01T00:00Z")["items"] == []
    shown = program.get("runs/1")
    assert (shown["outcome"], shown["result"], shown["fire_time"]) == ("succeeded", [1], "2026-11-30T03:00:00-05:00")
    for query in ("outcome=fine", "kind=odd", "since=soon", "limit=-1", "x=1"):
        program.refused(422, "GET", f"runs?{query}")
    program.refused(404, "GET", "runs/9")
    program.refused(404, "GET", "runs/x")
    program.refused(422, "GET", f"runs/{2**63}")


@pytest.mark.parametrize("key", [None, "once"])
def test_parameters_may_be_deep(place: Place, program: Program, key: str | None) -> None:
    """As those of a timer may be."""
    place.fill()
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    headers = {} if key is None else {"Idempotency_Key": key}
    assert program.send("POST", "timers/production/report/runs", {"params": {"to": deep}}, **headers).status_code == 202


def test_a_request_waits_for_the_end(place: Place, program: Program) -> None:
    """And is answered then, long before its time is over."""
    place.fill()
    timer = threading.Timer(0.3, end, (place, 1))
    timer.start()
    assert program.get("runs/1?wait=30")["outcome"] == "succeeded"
    timer.join()
    program.refused(422, "GET", "runs/1?wait=31")
    program.refused(422, "GET", "runs/1?wait=nan")


def test_few_requests_wait_at_a_time(place: Place, program: Program) -> None:
    """Others are answered at once, so that a thread is left for each visitor."""
    place.fill()
    places = place.app.extensions[API].app.extensions[WAITING]
    for _ in range(MAX_WAITING):
        assert places.acquire(blocking=False)
    assert program.get("runs/1?wait=30")["outcome"] is None
    places.release()
    assert program.get("runs/1?wait=0.01")["outcome"] is None


def test_a_run_is_cancelled_once(place: Place, program: Program) -> None:
    """One that has ended is in no state for it."""
    place.fill()
    assert program.does("POST", "runs/1/cancel", {"why": "not today"}, status=202)["outcome"] == "cancelled"
    (change,) = (item for item in program.get("changes")["items"] if item["action"] == "cancelled")
    assert (change["after"], change["why"], change["way"]) == ({"run": 1}, "not today", "api")
    assert "ended already" in program.refused(409, "POST", "runs/1/cancel")["detail"]
    place.timers.remove("report", now=place.now)
    assert "removed" in program.refused(409, "POST", "runs/1/again")["detail"]


def test_lines_of_a_run_and_of_all(place: Place, program: Program) -> None:
    """Those of a run as they were printed, the last page first; those of all the latest first."""
    place.fill()
    printed(place, "one", "two", "three")
    page = program.get("runs/1/lines?limit=2")
    assert [line["text"] for line in page["items"]] == ["two", "three"]
    assert [line["text"] for line in program.get(f"runs/1/lines?cursor={page['next']}")["items"]] == ["one"]
    assert [line["text"] for line in program.get("lines?timer=report&level=info&text=W")["items"]] == ["two"]
    first = program.get("lines?limit=2")
    assert [line["text"] for line in first["items"]] == ["three", "two"]
    assert [line["text"] for line in program.get(f"lines?cursor={first['next']}")["items"]] == ["one"]
    program.refused(400, "GET", "lines?cursor=x")
    program.refused(400, "GET", "runs?cursor=x")


@pytest.mark.parametrize("hidden", ["params", "results", "lines"])
def test_what_is_hidden_from_viewers(make_place: Callable[..., Place], hidden: str) -> None:
    """As on the pages: parameters, results, lines; never from an operator."""
    place = make_place(console_hide=hidden)
    place.fill()
    end(place, 1)
    printed(place, "secret line")
    place.timers.edit("report", Environment.PRODUCTION, {"ping_url": "https://hc.invalid/secret"}, now=place.now)
    page = place.browser(role="viewer").get("/timers/production/report").text
    assert ("hc.invalid" not in page) == (hidden == "params")
    viewer, operator = Program(place, "viewer"), Program(place)
    for program, is_hidden in ((viewer, True), (operator, False)):

        def hides(what: str, is_hidden: bool = is_hidden) -> bool:
            return is_hidden and hidden == what

        assert (program.get("timers/production/report")["params"] is None) == hides("params")
        assert (program.get("timers/production/report")["ping_url"] is None) == hides("params")
        assert (program.get("changes?subject=timer")["items"][-1]["after"] is None) == hides("params")
        assert program.send("GET", "export").status_code == (403 if hides("params") else 200)
        assert (program.get("runs/1")["result"] is None) == hides("results")
        assert program.send("GET", "lines").status_code == (403 if hides("lines") else 200)
        assert program.send("GET", "runs/1/lines").status_code == (403 if hides("lines") else 200)
