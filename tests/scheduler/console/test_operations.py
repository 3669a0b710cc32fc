"""What operators do besides editing: running with parameters, pausing, backfilling, moving lists of timers."""

from __future__ import annotations

import csv
import json
import re
from datetime import date, timedelta
from html import unescape
from io import BytesIO

import pytest

pytest.importorskip("flask")

from quartzcron.calendars import WorkingDays
from scheduler.claims.requested_runs import request_run
from scheduler.console.pages.timers import MAX_LISTED
from scheduler.core.at import At
from scheduler.core.run import Kind, Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.store.calendars import CalendarTable
from scheduler.store.change_pages import ChangeFilter, ChangeHistory
from scheduler.store.change_recording import Action, Author, NewChange, Subject, Way, record_changes
from scheduler.store.pause_table import PauseTable
from scheduler.store.runs import RunFilter, RunHistory
from scheduler.store.timer_pages import TimerFilter, TimerState, keys_of_timers

from .conftest import HOSTILE, Place
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


def test_a_pause_of_a_tag_that_no_timer_has_says_so(place: Place) -> None:
    """In any environment, or in the chosen one."""
    place.fill()
    browser = place.browser()
    for form, did in (
        ({"tag": "biling"}, "paused_no_tag"),
        ({"tag": "billing", "environment": "stage"}, "paused_no_tag_there"),
        ({"tag": "billing"}, "paused"),
        ({}, "paused"),
    ):
        assert browser.post("/pauses", **form).headers["Location"].endswith(f"?did={did}")
    assert "no timer has this tag yet" in browser.get("/pauses", did="paused_no_tag").text


def test_a_paused_timer_waits(place: Place) -> None:
    """Its page and the list say that its fires wait for the end of the pause, instead of when they are due."""
    place.fill()
    browser = place.browser()
    assert "the end of the pause" not in browser.get("/timers").text + browser.get(REPORT).text
    browser.post("/pauses", tag="billing")
    assert "waits for the end of the pause" in browser.get("/timers").text
    assert "fires before the end of the pause wait for it" in browser.get(REPORT).text
    assert " 等待暂停结束" in browser.get("/timers", lang="zh").text.replace(">", "> ")


def changes_of(place: Place, language: str) -> list[str]:
    """The rows of the page of changes as plain text, the latest first."""
    page = place.browser(**{"Accept-Language": language}).get("/changes").text
    listed = page.partition('id="rows"')[2].partition("</table>")[0]
    listed = re.sub(r'<a href="[^"]*">(Undo|撤销)</a>', "", listed)
    rows = re.findall(r'<th scope="row">(.*?)</td></tr>', listed, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", " ", row)).split()) for row in rows]


def test_changes_of_pauses_are_in_the_language(place: Place) -> None:
    """What is covered, and until when; why stands behind it."""
    pauses = PauseTable(place.store)
    by = Author("anna", Way.CONSOLE, "again")
    pauses.pause(now=place.now, by=by)
    pauses.pause(Environment.STAGE, "mail", now=place.now, until=place.now + timedelta(hours=4))
    pauses.resume(Environment.STAGE, "mail", now=place.now)
    assert changes_of(place, "en")[-3:] == [
        "the environment stage, the tag mail pause removed",
        "the environment stage, the tag mail pause added until 2026-11-30 20:00:00 +08:00",
        "all timers pause added until it is ended again",
    ]
    assert changes_of(place, "zh")[-3:] == [
        "整个预备环境, 标签 mail 暂停 删除",
        "整个预备环境, 标签 mail 暂停 创建 至 2026-11-30 20:00:00 +08:00",
        "全部任务 暂停 创建 直到手动恢复 again",
    ]


def test_changes_of_calendars_show_what_differs(place: Place) -> None:
    """Without digests; other dates of the same number are said in words."""
    calendars = CalendarTable(place.store)
    day = date(2027, 1, 1)
    calendars.add("firm", WorkingDays(holidays={day: ""}), now=place.now, source="by hand")
    calendars.change("firm", WorkingDays(holidays={day: "New Year"}), now=place.now, source="by hand")
    both = WorkingDays(holidays={day: "", date(2027, 5, 1): ""})
    calendars.change("firm", both, now=place.now, source="by hand")
    calendars.change("firm", both, now=place.now, source="by hand")
    assert changes_of(place, "en")[-4:] == [
        "firm calendar changed",
        "firm calendar changed Days off: 1 → 2",
        "firm calendar changed Other dates, or other names of them",
        "firm calendar added Working week: MON-FRI; Days off: 1; Known until: 2027-12-31; From: by hand",
    ]
    assert "firm 日历 修改 休息日: 1 → 2" in changes_of(place, "zh")


def test_changes_of_tokens_show_their_roles(place: Place) -> None:
    """A link is called one."""
    place.tokens.add("anna", "viewer", now=place.now)
    place.tokens.add_link("root@vm", "operator", now=place.now)
    assert changes_of(place, "en")[-2:] == [
        "root@vm sign-in link added Role: operator",
        "anna token added Role: may read",
    ]
    assert "root@vm 登录链接 创建 角色: 操作员" in changes_of(place, "zh")


def test_changes_of_timers_do_not_repeat_their_titles(place: Place) -> None:
    """What differs stands beside the action; a breaker that is closed as before does not differ."""
    place.fill()
    browser = place.browser()
    stage, by = Environment.STAGE, Author("anna", Way.LIBRARY)
    request_run(place.store, "report", Environment.PRODUCTION, now=place.now, by=by)
    browser.post(f"{REPORT}/disable", why="at night")
    place.timers.edit(HOSTILE, stage, {"name": "x", "limit_s": 30.0}, now=place.now)
    broken, whole = {"state": "closed", "consecutive_failures": 2}, None
    changed = NewChange(
        Action.CHANGED, "x", "stage", {"breaker": broken, "retries": 0}, {"breaker": whole, "retries": 1}
    )
    with place.store.writing() as connection:
        record_changes(connection, [changed], None, now=place.now)
    shown = changes_of(place, "en")
    assert shown[1:5] == [
        "x stage changed Retries: 0 → 1",
        f"x stage renamed {HOSTILE} → x; Time limit, seconds: 15 → 30",
        "report disabled at night",
        "report requested a run Run 2",
    ]


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


def test_what_is_done_with_runs_is_recorded(place: Place) -> None:
    """Who requested, repeated, ended or backfilled runs, and why; not what had no effect."""
    place.fill()
    browser = place.browser()
    browser.post(f"{REPORT}/run", why="the mail is late")
    browser.post("/runs/2/again")
    browser.post("/runs/3/cancel")
    browser.post("/runs/3/cancel")
    assert changes_of(place, "en")[1:4] == [
        "report cancelled Run 3",
        "report requested a run Run 3",
        "report requested a run Run 2 the mail is late",
    ]
    browser.post(f"{REPORT}/backfill", start="2026-11-24 00:00", end="2026-11-26 00:00", why="for the books")
    browser.post(f"{REPORT}/backfill/take-back")
    browser.post(f"{REPORT}/backfill/take-back")
    assert changes_of(place, "en")[1:3] == [
        "report cancelled 2 backfilled runs",
        "report backfilled 2 runs, 2026-11-24 15:30:00 +08:00 – 2026-11-25 15:30:00 +08:00 for the books",
    ]


def test_changes_of_timers_are_said_in_chinese(place: Place) -> None:
    """Attributes and their values, schedules, and what was added or removed."""
    place.fill()
    browser = place.browser()
    rows = {"overlap": "allow", "limit_s": 30.0, "tags": ["a"], "pause_on_failure": True}
    place.timers.edit("report", Environment.PRODUCTION, rows, now=place.now)
    place.timers.edit("report", Environment.PRODUCTION, {"trigger": Every(60)}, now=place.now)
    browser.post(f"{REPORT}/remove", typed="report")
    shown = changes_of(place, "zh")
    assert shown[1] == "report 删除 调用 send; 每分钟"
    assert "触发规则: 0 30 2 ? * MON-FRI America/New_York (每周一至周五 02:30) → 每分钟" in shown[2]
    for part in ("时限（秒）: 15 → 30", "重叠: 跳过 → 同时执行", "否 → 是"):
        assert part in shown[3]


def test_all_timers_that_match_are_changed(place: Place) -> None:
    """However many, in one transaction, after a page that lists them; others that match by then are shown first."""
    timers = [Timer(name=f"t{number}", function="f", trigger=Every(60)) for number in range(MAX_LISTED + 50)]
    place.timers.add([*timers, Timer(name="other", function="g", trigger=Every(60))], now=place.now)
    browser = place.browser()
    form = {"action": "enable", "all": "yes", "function": "f"}
    page = browser.post("/timers", **form).text
    assert "Enable 1,050 timers" in page
    assert "and 50 more" in page
    digest = re.search(r'name="digest" value="(\w+)"', page)
    assert digest is not None
    confirmed = {**form, "confirmed": "yes", "digest": digest[1], "why": "now"}
    place.timers.remove("t0", Environment.PRODUCTION, now=place.now)
    assert "Other timers match by now" in browser.post("/timers", **confirmed).text
    place.timers.add(timers[:1], now=place.now)
    assert browser.post("/timers", **confirmed).status_code == 303
    enabled = keys_of_timers(place.store, TimerFilter(state=TimerState.ENABLED), limit=10_000)
    assert len(enabled) == MAX_LISTED + 50
    assert {name for _, name in enabled} == {timer.name for timer in timers}


def test_several_timers_are_changed_together_or_not_at_all(place: Place) -> None:
    """One that would never fire refuses to be enabled; the page says which one, and nothing is changed."""
    place.fill()
    ended = Timer(name="ended", function="f", trigger=At("2026-11-30T09:00", tz="UTC"))
    place.timers.add([ended], now=place.now)
    place.timers.disable("report", Environment.PRODUCTION, now=place.now)
    place.wait(hours=2)
    answer = place.browser().post(
        "/timers", action="enable", timer=["production:report", "production:ended"], confirmed="yes"
    )
    assert "Nothing was changed." in answer.text
    assert "&#39;ended&#39; in production" in answer.text
    assert not place.timers.get("report").timer.enabled
