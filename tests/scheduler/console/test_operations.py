"""What operators do besides editing: running with parameters, pausing, backfilling, moving lists of timers."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import BytesIO

import pytest

pytest.importorskip("flask")

from scheduler.core.run import Kind, Outcome
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every
from scheduler.store.change_pages import ChangeFilter, ChangeHistory
from scheduler.store.changes import Subject
from scheduler.store.pause_table import PauseTable
from scheduler.store.runs import RunFilter, RunHistory

from .conftest import Place
from .test_digest import add_runs, ending, run_values

REPORT = "/timers/production/report"


def test_a_timer_is_run_with_other_parameters(place: Place) -> None:
    """They hold for that run, and for one that repeats it; what is no JSON object is refused beside the field."""
    place.fill()
    browser = place.browser()
    answer = browser.post(f"{REPORT}/run", params='{"to": ')
    assert answer.status_code == 422
    assert "{&#34;to&#34;:" in answer.text
    location = browser.post(f"{REPORT}/run", params='{"to": "x"}').headers["Location"]
    assert "runs/2?" in location
    browser.post("/runs/2/again")
    given = [RunHistory(place.store).run(run_id) for run_id in (1, 2, 3)]
    assert [run and run.own_params and json.loads(run.own_params) for run in given] == [None, {"to": "x"}, {"to": "x"}]
    assert "&#34;x&#34;" in browser.get(f"{REPORT}/run", of="3").text
    assert browser.post("/runs/99/again").status_code == 404


def test_timers_are_paused_and_go_on(place: Place) -> None:
    """With who and why; the end is a time of the reader's zone."""
    place.fill()
    browser = place.browser()
    browser.client.set_cookie("scheduler-zone", "Europe/Berlin")
    assert browser.post("/pauses", tag="billing", until="2026-11-30 12:00", why="the bank moves").status_code == 303
    (pause,) = PauseTable(place.store).list()
    assert (pause.tag, pause.note) == ("billing", "the bank moves")
    assert pause.until is not None
    assert pause.until - place.now == timedelta(hours=3)
    assert "the bank moves" in browser.get("/").text
    assert browser.post("/pauses/end", tag="billing").status_code == 303
    assert PauseTable(place.store).list() == []
    assert browser.post("/pauses/end", tag="billing").status_code == 422
    assert browser.post("/pauses", until="yesterday").status_code == 422
    done = ChangeHistory(place.store).page(ChangeFilter(subject=Subject.PAUSE)).items
    assert [record.action for record in done] == ["removed", "added"]


def test_a_span_is_back_filled_after_it_was_shown(place: Place) -> None:
    """A GET enters nothing; wall times are those of the timer's zone."""
    timer = Timer(name="report", function="send", trigger=Cron("0 0 * * * ?", "Asia/Shanghai"))
    place.timers.add([timer], now=place.now)
    browser = place.browser()
    span = {"start": "2026-11-30 10:00", "end": "2026-11-30 13:00"}
    assert "3 fire times" in browser.get(f"{REPORT}/backfill", **span).text
    assert RunHistory(place.store).runs() == []
    assert browser.post(f"{REPORT}/backfill", **span).status_code == 303
    runs = RunHistory(place.store).page(RunFilter(kind=Kind.BACKFILL)).items
    assert [run.fire_time.hour for run in runs] == [4, 3, 2]
    assert browser.post(f"{REPORT}/backfill/take-back").status_code == 303
    assert RunHistory(place.store).runs() == []
    assert browser.get(f"{REPORT}/backfill", start="2030-01-01 00:00").status_code == 422


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_exported_list_is_imported_again(place: Place, kind: str) -> None:
    """All of it or nothing, after it was shown; as text or as a file."""
    timers = [Timer(name=f"=t{n}", function="f", trigger=Every(60), params={"n": n}) for n in range(3)]
    place.timers.add(timers, now=place.now)
    browser = place.browser()
    exported = browser.get("/timers/export", format=kind).text
    taken = browser.post("/timers/import", do="save", list=exported)
    assert taken.status_code == 422
    for timer in timers[1:]:
        place.timers.remove(timer.name, timer.environment, now=place.now)
    assert browser.post("/timers/import", do="save", list=exported).status_code == 422
    assert len(place.timers.list()) == 1
    place.timers.remove("=t0", timers[0].environment, now=place.now)
    shown = browser.post("/timers/import", do="look", file=(BytesIO(exported.encode()), "timers"))
    assert "=t2" in shown.text
    assert place.timers.list() == []
    assert browser.post("/timers/import", do="save", list=exported).status_code == 303
    kept = [(entry.timer.name, dict(entry.timer.params)) for entry in place.timers.list()]
    assert kept == [(timer.name, dict(timer.params)) for timer in timers]


def test_a_list_with_faults_is_answered_with_their_lines(place: Place) -> None:
    """And kept in the form."""
    answer = place.browser().post("/timers/import", do="save", list="name,function,cron\na,f,0 75 8 * * ?\n")
    assert answer.status_code == 422
    assert "line 2" in answer.text
    assert "0 75 8" in answer.text


def test_statistics_are_those_of_the_rows(place: Place) -> None:
    """On the page and as CSV."""
    add_runs(
        place.store,
        *(run_values(n, "a", **ending(n, Outcome.SUCCEEDED, 100)) for n in range(-20, 0)),
        run_values(0, "b", **ending(0, Outcome.FAILED, 100)),
    )
    browser = place.browser()
    rows = list(csv.DictReader(browser.get("/statistics", format="csv").text.splitlines()))
    assert len(rows) == 24
    assert sum(int(row["succeeded"]) for row in rows) == 20
    assert sum(int(row["failed"]) for row in rows) == 1
    page = browser.get("/statistics").text
    assert "most on Mon from 16:00: 1" in page
    assert "Nothing has fired" in browser.get("/statistics", environment="stage").text
