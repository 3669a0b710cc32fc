"""The editor: from a form to a timer, what is wrong beside its field, and what a trigger means."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from scheduler.console.preview import preview
from scheduler.console.timer_form import changes, form_of_timer
from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every

from .conftest import START, Place

FORM: dict[str, Any] = {"name": "report", "function": "send", "environment": "production", "do": "save"}
CRON = FORM | {"trigger": "cron", "cron": "0 30 2 ? * MON-FRI", "tz": "America/New_York", "dst": "vixie"}
EVERY = FORM | {"trigger": "every", "every": "90"}


def test_a_new_timer_is_disabled(place: Place) -> None:
    """As in LeanEngine; unless it is to be enabled."""
    browser = place.browser()
    assert browser.post("/timers/new", **CRON).status_code == 303
    assert browser.post("/timers/new", **CRON | {"name": "other", "do": "enable"}).status_code == 303
    other, report = sorted(place.timers.list(), key=lambda entry: entry.timer.name)
    assert report.timer.trigger == Cron("0 30 2 ? * MON-FRI", "America/New_York")
    assert (report.timer.enabled, other.timer.enabled) == (False, True)


def test_a_function_that_no_process_has_loaded_gets_a_warning(place: Place) -> None:
    """It is probably mistyped: the page of the timer proposes a name, after it is created, edited and imported."""
    browser = place.browser()
    place.load("send", "clean")
    created = browser.post("/timers/new", **CRON | {"function": "sennd"}).headers["Location"]
    assert created.endswith("did=created")
    warning = "sennd is not among the functions of production that were loaded last."
    page = created.partition("?")[0]
    assert "是否为 send？" in browser.get(page, lang="zh").text
    english = browser.get(page, lang="en").text
    assert warning in english
    assert "Did you mean send?" in english
    listed = json.dumps([{"name": "a", "function": "sennd", "cron": "0 0 8 * * ?"}])
    assert warning in browser.post("/timers/import", list=listed, do="look").text
    was = str(place.timers.get("report").revision)
    saved = browser.post("/timers/production/report/edit", **CRON, was=was).headers["Location"]
    assert saved.endswith("did=saved")
    assert "is not among" not in browser.get(saved.partition("?")[0]).text
    assert "is not among" not in browser.post("/timers/import", list=listed.replace("sennd", "send"), do="look").text


def test_a_function_of_an_environment_without_loaded_ones_gets_a_note(place: Place) -> None:
    """It may be mistyped: the console cannot check functions then, and says what does."""
    browser = place.browser()

    def done(address: str, **form: Any) -> str:
        return browser.post(address, **form).headers["Location"].partition("did=")[2]

    assert done("/timers/new", **CRON) == "created_only_caller"
    assert done("/timers/new", **CRON | {"name": "other"}) == "created"
    for edit, did in (({"retries": "1"}, "saved"), ({"function": "sned"}, "saved_only_caller")):
        was = place.timers.get("report", Environment.PRODUCTION).revision
        assert done("/timers/production/report/edit", **CRON | edit, was=str(was)) == did
    page = browser.get("/timers/production/report", did="saved_only_caller").text
    assert "No other timer calls this function yet" in page
    assert "scheduler doctor" in page
    assert "is not among the functions" not in page


def test_a_preview_is_in_the_language_of_the_page_and_names_a_dialect_once(place: Place) -> None:
    """A fix that an other format explains is offered with the name of that format only."""
    browser = place.browser()

    def shown(cron: str, lang: str = "en") -> str:
        return unescape(browser.get("/timers/preview", trigger="cron", cron=cron, lang=lang).text)

    assert "每" not in shown("0 0 8 ? * MON")
    assert "At 08:00" not in shown("0 0 8 ? * MON", "zh")
    spring = shown("0 0 8 * * MON")
    assert "This looks like the Spring Framework; in Quartz it is" in spring
    assert (spring.count("0 0 8 ? * MON</button>"), spring.count("Use ")) == (1, 0)
    assert shown("*/5 * * * *").count("data-use") == 1


def test_every_option_has_a_field(place: Place) -> None:
    """What the form is given is what the timer has."""
    further = {
        "params": '{"n": 3}',
        "limit_s": "30",
        "misfire": "skip",
        "overlap": "allow",
        "delivery": "at_least_once",
        "jitter_s": "5",
        "retries": "2",
        "retry_backoff_s": "1.5",
        "breaker_threshold": "0",
        "starts_at": "2026-12-01T00:00",
        "ends_at": "2027-12-01T00:00",
        "description": "every\nnight",
        "tags": "b, a",
    }
    assert place.browser().post("/timers/new", **CRON | further).status_code == 303
    timer = place.timers.get("report").timer
    assert (timer.params, timer.limit_s, timer.misfire, timer.overlap) == ({"n": 3}, 30, "skip", "allow")
    assert (timer.delivery, timer.jitter_s, timer.retries, timer.retry_backoff_s) == ("at_least_once", 5, 2, 1.5)
    assert (timer.breaker_threshold, timer.tags) == (0, ("a", "b"))
    assert timer.starts_at is not None
    assert timer.starts_at.isoformat() == "2026-12-01T05:00:00+00:00"


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"name": ""}, "name", "Fill this in"),
        ({"name": " report"}, "name", "whitespace"),
        ({"function": ""}, "function", "Fill this in"),
        ({"params": "{"}, "params", "invalid JSON"),
        ({"params": "[1]"}, "params", "JSON object"),
        ({"cron": ""}, "cron", "Fill this in"),
        ({"cron": "0 75 8 * * MON"}, "cron", "out of range"),
        ({"cron": "0 0 0 31 2 ?"}, "cron", "never fires"),
        ({"tz": "Mars/Olympus"}, "tz", "Mars"),
        ({"limit_s": "0"}, "limit_s", "time limit"),
        ({"retries": "many"}, "retries", "whole number"),
        ({"ends_at": "2020-01-01T00:00Z"}, "cron", "never fires after"),
        ({"starts_at": "soon"}, "starts_at", "is not a time"),
        ({"tags": "a," * 3 + "x" * 200}, "tags", "characters"),
        ({"environment": "moon"}, "environment", "production or stage"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(place: Place, wrong: dict[str, str], field: str, message: str) -> None:
    """Nothing is saved, and what was typed is kept."""
    answer = place.browser().post("/timers/new", **CRON | {"do": "enable", "description": "kept"} | wrong)
    assert answer.status_code == 422
    said = dict(re.findall(r'id="field-(\w+)-wrong">([^<]*)', answer.text))
    assert message in unescape(said[field]), said
    assert ">kept</textarea>" in answer.text
    assert place.timers.list() == []


def test_a_name_that_is_taken_is_refused(place: Place) -> None:
    """Beside the field of the name."""
    browser = place.browser()
    browser.post("/timers/new", **EVERY)
    answer = browser.post("/timers/new", **EVERY)
    assert answer.status_code == 422
    assert 'id="field-name-wrong"' in answer.text


def test_the_form_of_a_timer_makes_the_same_timer() -> None:
    """Opening the editor and saving changes nothing."""
    timer = Timer(
        name="report",
        function="send",
        trigger=Cron("0 30 2 ? * MON-FRI", "America/New_York", "quartz"),
        params={"to": "é", "n": [1, 2]},
        environment=Environment.STAGE,
        limit_s=2.5,
        jitter_s=3,
        starts_at="2026-12-01T00:00:00+08:00",
        description="a\nb",
        tags=["x", "y"],
    )
    again = form_of_timer(timer).timer(enabled=timer.enabled)
    assert again == timer
    assert again is not None
    assert changes(timer, again) == {}


def test_every_attribute_with_an_option_has_a_field(place: Place) -> None:
    """One that is added to the table is in the form."""
    text = place.browser().get("/timers/new").text
    fields = set(re.findall(r'name="(\w+)"', text))
    assert {attribute.name for attribute in ATTRIBUTES if attribute.flag} <= fields


def test_an_edit_changes_what_differs(place: Place) -> None:
    """The interval is counted on from its anchor, unless the interval is changed."""
    browser = place.browser()
    browser.post("/timers/new", **EVERY | {"do": "enable"})
    before = place.timers.get("report")
    place.wait(seconds=40)
    form = EVERY | {"was": str(before.revision), "limit_s": "20"}
    assert browser.post("/timers/production/report/edit", **form).status_code == 303
    after = place.timers.get("report")
    assert after.timer.limit_s == 20
    assert after.next_fire == before.next_fire
    form |= {"was": str(after.revision), "every": "60", "name": "renamed"}
    answer = browser.post("/timers/production/report/edit", **form)
    assert answer.headers["Location"].startswith("../../../timers/production/renamed")
    assert place.timers.get("renamed").next_fire == place.now + timedelta(seconds=60)


def test_two_editors_of_one_timer_do_not_overwrite_each_other(place: Place) -> None:
    """The second one sees both versions, and may then save."""
    browser = place.browser()
    browser.post("/timers/new", **EVERY | {"limit_s": "15"})
    was = str(place.timers.get("report").revision)
    assert browser.post("/timers/production/report/edit", **EVERY | {"was": was, "limit_s": "20"}).status_code == 303
    answer = browser.post("/timers/production/report/edit", **EVERY | {"was": was, "limit_s": "30"})
    assert answer.status_code == 409
    assert "<code>20</code>" in answer.text
    assert 'name="limit_s" value="30"' in answer.text
    assert place.timers.get("report").timer.limit_s == 20
    now = re.search(r'name="was" value="(\w+)"', answer.text)
    assert now is not None
    assert browser.post("/timers/production/report/edit", **EVERY | {"was": now[1], "limit_s": "30"}).status_code == 303
    assert place.timers.get("report").timer.limit_s == 30


def test_an_edit_without_a_revision_is_refused(place: Place) -> None:
    """It could overwrite anything."""
    browser = place.browser()
    browser.post("/timers/new", **EVERY)
    assert browser.post("/timers/production/report/edit", **EVERY | {"limit_s": "30"}).status_code == 409


def test_looking_saves_nothing(place: Place) -> None:
    """The button for browsers without JavaScript shows what the trigger means."""
    answer = place.browser().post("/timers/new", **CRON | {"do": "look"})
    assert "At 02:30, Monday to Friday" in answer.text
    assert place.timers.list() == []


# What a trigger means


def test_the_preview_has_the_fires_of_the_timer() -> None:
    """With its jitter and its window, since the schedule is the timer's own."""
    timer = Timer(
        name="report",
        function="send",
        trigger=Cron("0 0 8 * * ?", "Europe/Berlin"),
        jitter_s=60,
        ends_at="2026-12-05T00:00:00Z",
    )
    seen = preview(timer.trigger, timer.schedule, now=START, limit_s=15)
    expected, fire = [], timer.schedule.next_fire(START)
    while fire is not None:
        expected.append(fire)
        fire = timer.schedule.next_fire(fire)
    assert list(seen.fires) == expected
    assert len(expected) == 4


def test_a_clock_change_is_shown_with_what_the_other_rule_does() -> None:
    """02:30 does not exist in New York on 14 March 2027: one rule fires at 03:00, the other one does not."""
    trigger = Cron("0 30 2 * * ?", "America/New_York")
    (change,) = preview(trigger, trigger, now=START, limit_s=15).clock_changes
    assert change.at.isoformat() == "2027-03-14T03:00:00-04:00"
    assert [fire.isoformat() for fire in change.fires] == ["2027-03-14T03:00:00-04:00"]
    assert change.other_policy == "quartz"
    assert change.other_fires == []
    daily = Cron("0 30 12 * * ?", "America/New_York")
    assert preview(daily, daily, now=START, limit_s=15).clock_changes == []


@pytest.mark.parametrize(
    ("expression", "key"),
    [
        ("* * * * * ?", "advice.every_second"),
        ("0/5 * * * * ?", "advice.shorter_than_limit"),
        ("0 0 0 31 * ?", "advice.short_months"),
        ("0 0 0 29 2 ?", "advice.leap_day"),
        ("0 0 8 ? * 1-5", "advice.weekday_digits"),
        ("0 */7 * * * ?", "advice.uneven_step"),
        ("0 0 8 1 1 ? 2030", "advice.once"),
    ],
)
def test_advice_is_given(expression: str, key: str) -> None:
    """For what is lawful, and mostly meant otherwise."""
    trigger = Cron(expression, "UTC")
    assert key in [piece.key for piece in preview(trigger, trigger, now=START, limit_s=15).advice]


@pytest.mark.parametrize("expression", ["0 0 8 ? * MON-FRI", "0 0/15 * * * ?", "0 0 8 1 * ?", "0 0 17 LW * ?"])
def test_no_advice_is_given_for_nothing(expression: str) -> None:
    """Plain schedules are left alone."""
    trigger = Cron(expression, "UTC")
    assert preview(trigger, trigger, now=START, limit_s=15).advice == []


def test_an_error_is_drawn_under_the_text(place: Place) -> None:
    """With carets, each problem, and in both languages its field."""
    browser = place.browser(**{"Accept-Language": "zh"})
    text = browser.get("/timers/preview", trigger="cron", cron="0 75 8 * * MON").text
    assert "  0 75 8 * * MON\n    ^^   ^" in text
    assert "<strong>分</strong>" in text


@pytest.mark.parametrize(("pasted", "quartz"), [("*/5 * * * *", "0 */5 * * * ?"), ("@daily", "0 0 0 * * ?")])
def test_what_was_pasted_from_elsewhere_is_offered_as_quartz(place: Place, pasted: str, quartz: str) -> None:
    """A crontab line, above all."""
    text = place.browser().get("/timers/preview", trigger="cron", cron=pasted).text
    assert f'data-use="{quartz}"' in text


@pytest.mark.parametrize("typed", ["x" * 501, "0 0 0 31 2 ?", "\0", "９ * * * * ?", "H H * * * ?"])
def test_a_preview_of_anything_is_an_answer(place: Place, typed: str) -> None:
    """Short, and without a fault."""
    answer = place.browser().get("/timers/preview", trigger="cron", cron=typed)
    assert answer.status_code == 200
    assert len(answer.text) < 20_000


def test_an_interval_is_shown_in_its_largest_unit(place: Place) -> None:
    """In both languages."""
    text = place.browser().get("/timers/preview", trigger="every", every="7200").text
    assert "Every 2 hours" in text
    chinese = place.browser().get("/timers/preview", trigger="every", every="7200", lang="zh").text
    assert "每 2 小时" in chinese
    assert Every(7200).seconds == 7200


def test_times_relative_to_now_are_instants(place: Place) -> None:
    """As on the command line: a time from now, and an interval by the calendar that begins with the next such time."""
    browser = place.browser()
    assert (
        browser.post("/timers/new", **FORM | {"trigger": "at", "at": "in 20 minutes", "tz": "UTC"}).status_code == 303
    )
    assert place.timers.get("report").timer.schedule.next_fire(START) == START + timedelta(minutes=20)
    weekly = FORM | {"name": "weekly", "trigger": "calendrical", "every": "2 weeks", "at": "09:00", "tz": "UTC"}
    assert browser.post("/timers/new", **weekly).status_code == 303
    assert place.timers.get("weekly").timer.schedule.next_fire(START) == START + timedelta(hours=1)


def test_all_errors_of_a_form_are_shown_at_once(place: Place) -> None:
    """Each beside its field and in the list on top; those of an expression one by one; what the store refuses, too."""
    place.fill()
    wrong = {"cron": "0 75 25 * * MON", "limit_s": "0", "retries": "many", "tags": "x" * 200, "calendar": "moon"}
    answer = place.browser().post("/timers/new", **CRON | wrong | {"name": "report", "function": ""})
    assert answer.status_code == 422
    said = dict(re.findall(r'id="field-(\w+)-wrong">([^<]*)', answer.text))
    assert said.keys() == {*wrong, "name", "function"}
    assert "exists already" in said["name"]
    assert said["cron"].count("out of range") == 2
    listed = re.findall(r'<li><a href="#field-(\w+)">', answer.text)
    assert set(listed) == said.keys()


def test_the_window_of_a_timer_is_written_as_people_write_times(place: Place) -> None:
    """In the zone of the timer; the next such time."""
    given = CRON | {"starts_at": "tomorrow 8:00", "ends_at": "+3d"}
    assert place.browser().post("/timers/new", **given).status_code == 303
    timer = place.timers.get("report").timer
    assert (timer.starts_at, timer.ends_at) == (
        datetime(2026, 12, 1, 13, tzinfo=UTC),
        place.now + timedelta(days=3),
    )


def test_errors_are_said_in_the_language_of_the_reader(place: Place) -> None:
    """Beside the field and in the preview; in Chinese no English is left."""
    wrong = CRON | {"cron": "0 75 8 * * MON", "limit_s": "0"}
    browser = place.browser(Accept_Language="zh-CN")
    answer = browser.post("/timers/new", **wrong)
    said = dict(re.findall(r'id="field-(\w+)-wrong">([^<]*)', answer.text))
    assert said["limit_s"].startswith("时限应大于 0 秒")
    assert said["cron"].startswith("分，第 3 列：75 超出范围；分为 0 到 59 · 日，第 8 列：两个日期字段都写了值")
    preview = browser.get("/timers/preview", **wrong).text
    assert "75 超出范围" in preview
    assert "out of range" not in answer.text + preview
