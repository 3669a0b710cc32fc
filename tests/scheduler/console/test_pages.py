"""The pages: in both languages, with hostile texts, behind a prefix, with what a viewer does not see."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from html import unescape
from urllib.parse import urljoin

import pytest
from sqlalchemy import insert, update

from scheduler.console.names import segment
from scheduler.core.calendrical import Calendrical
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron, Every
from scheduler.functions.descriptions import FunctionDescription
from scheduler.store.catalogue import replace_functions
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.change_recording import Way
from scheduler.store.runs import RunHistory
from scheduler.store.schema import lines, runs
from scheduler.store.schema import timers as timers_table

from .conftest import HOSTILE, Browser, Place

REPORT = "/timers/production/report"
PAGES = [
    "/",
    "/instances",
    "/timeline",
    "/timeline?span=month&text=report",
    "/functions",
    "/statistics",
    "/statistics?span=month&environment=stage",
    "/calendars",
    "/calendars/firm?year=2027",
    "/pauses",
    "/timers/import",
    f"{REPORT}/run?of=1",
    f"{REPORT}/backfill?start=2026-11-01+00:00",
    "/timers",
    "/timers?state=enabled&tag=billing",
    "/timers?text=nothing-has-this",
    REPORT,
    f"{REPORT}?year=1970",
    f"{REPORT}/edit",
    f"{REPORT}/copy",
    f"{REPORT}/remove",
    f"/timers/stage/{segment(HOSTILE).replace('?', '%3F').replace('#', '%23')}",
    "/timers/new",
    "/timers/new?trigger=cron&cron=0+75+8+*+*+MON",
    "/timers/new?trigger=every&every=90",
    "/timers/preview?trigger=cron&cron=*/5+*+*+*+*",
    "/runs",
    "/runs?outcome=failed",
    "/runs/1",
    "/logs",
    "/logs?level=error&text=x",
    "/changes",
    "/settings",
    "/api",
    # Parameters that mean something to url_for, or to the page's own address, and rows beyond all numbers.
    "/timers?endpoint=x&_method=POST&_external=1&_anchor=x&_scheme=javascript&values=x",
    f"{REPORT}?name=x&environment=stage",
    "/runs/1?run_id=7",
    "/runs?before=99999999999999999999999",
    "/changes?before=-1",
    "/nothing",
]


def printed(place: Place, text: str) -> None:
    """A run of `report` has printed a line."""
    with place.store.writing() as connection:
        values = {"run_id": 1, "at": stamp(place.now), "level": "info", "text": text}
        connection.execute(insert(lines).values(values))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("address", PAGES)
def test_a_page_opens(place: Place, address: str, language: str) -> None:
    """In the language of the browser, with a title, one heading and no markup of others."""
    place.fill()
    printed(place, HOSTILE)
    answer = place.browser(**{"Accept-Language": language}).get(address)
    assert answer.status_code == (404 if address == "/nothing" else 200)
    assert "<script>alert" not in answer.text
    assert "<b>" not in answer.text
    if "/preview" not in address:
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}"' in answer.text
        assert answer.text.count("<h1") == 1


def test_a_hostile_text_is_shown_as_it_is(place: Place) -> None:
    """Names, parameters, descriptions, tags and lines are text, whatever they hold."""
    place.fill()
    printed(place, HOSTILE)
    browser = place.browser()
    for address in ("/timers", REPORT, f"{REPORT}/edit", "/runs/1", "/logs", "/changes"):
        assert HOSTILE in unescape(browser.get(address).text).replace('\\"', '"'), address


def test_all_addresses_are_relative(place: Place) -> None:
    """So the console works under any prefix that a proxy takes away; each leads to a page that there is."""
    place.fill()
    browser = place.browser()
    paths = set()
    for address in PAGES:
        text = browser.get(address).text
        found = {unescape(link) for link in re.findall(r'(?:href|src|action|data-preview)="([^"#]+)"', text)}
        assert found or "/preview" in address
        for link in found:
            assert not re.match(r"/|\w+:", link), link
            whole = urljoin(f"http://proxy/some/prefix{address}", link)
            assert whole.startswith("http://proxy/some/prefix/"), link
            paths.add(whole.removeprefix("http://proxy/some/prefix"))
    for path in paths - set(PAGES):
        # A form's address may have no page, and a page of nothing has itself in other languages.
        assert browser.get(path).status_code in (200, 303, 405) or path.startswith("/nothing"), path


def test_the_first_load_is_small(place: Place) -> None:
    """Page, style and scripts together, over the net; the files are kept by the browser from then on."""
    place.fill()
    browser = place.browser(**{"Accept-Encoding": "gzip"})
    page = browser.get("/")
    files = re.findall(r'(?:href|src)="([^"]+\?v=\w+)"', page.text)
    assert len(files) == 4
    answers = [browser.get(name.removeprefix(".")) for name in files]
    assert all(answer.headers["Content-Encoding"] == "gzip" for answer in answers)
    assert sum(len(answer.data) for answer in [page, *answers]) < 40_000
    sent = {
        name.partition("?")[0].rpartition("/")[2]: len(answer.data) for name, answer in zip(files, answers, strict=True)
    }
    assert sent["console.css"] < 6_000
    assert sent["console.js"] + sent["keys.js"] < 4_096
    plain = place.browser().get(files[0].removeprefix("."))
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]


def test_the_language_of_the_address_is_kept(place: Place) -> None:
    """A chosen language is that of the next page, too, whatever the browser requests."""
    browser = place.browser(**{"Accept-Language": "en"})
    assert "定时任务" in browser.get("/timers", lang="zh").text
    assert "定时任务" in browser.get("/timers").text
    assert "Timers" in browser.get("/timers", lang="en").text


def test_every_instant_has_its_offset(place: Place) -> None:
    """That of the reader's zone, which the browser has named."""
    place.fill()
    browser = place.browser()
    browser.client.set_cookie("scheduler-zone", "America/New_York")
    text = browser.get(REPORT).text
    instants = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ?(\S{6})", text)
    assert instants
    assert set(instants) == {"−05:00"}


def test_a_zone_that_there_is_not_is_refused_beside_its_field(place: Place) -> None:
    """And one in a cookie is passed over."""
    browser = place.browser()
    browser.client.set_cookie("scheduler-zone", "Mars/Olympus")
    assert browser.get("/timers").status_code == 200
    answer = browser.post("/settings", zone="Mars/Olympus", language="en", theme="dark")
    assert answer.status_code == 422
    assert "Mars/Olympus" in answer.text
    assert browser.post("/settings", zone="Europe/Berlin", language="zh", theme="dark").status_code == 303
    text = browser.get("/settings").text
    assert 'data-theme="dark"' in text
    assert 'value="Europe/Berlin"' in text


def test_a_page_of_timers_goes_on_where_it_ended(place: Place) -> None:
    """Every timer is on one of the pages, once."""
    place.timers.add([Timer(name=f"t{n:03}", function="f", trigger=Every(7)) for n in range(120)], now=place.now)
    browser, address, seen = place.browser(), "/timers", []
    while address:
        text = browser.get(address).text
        seen += re.findall(r'class="name" href="[^"]+">(t\d+)<', text)
        onward = re.search(r'href="\./([^"]+)">Next page', text)
        address = f"/{unescape(onward[1])}" if onward else ""
    assert seen == [f"t{n:03}" for n in range(120)]


# What can be done


def test_a_timer_is_run_enabled_disabled_and_removed(place: Place) -> None:
    """Each by a form; the record says who and by what way."""
    place.fill()
    browser = place.browser()
    assert browser.post(f"{REPORT}/disable", why="the mail server is slow").status_code == 303
    assert not place.timers.get("report").timer.enabled
    assert browser.post(f"{REPORT}/enable").status_code == 303
    assert place.timers.get("report").timer.enabled
    answer = browser.post(f"{REPORT}/run")
    assert answer.headers["Location"].startswith("../../../runs/2")
    assert RunHistory(place.store).run(2) is not None
    assert browser.post(f"{REPORT}/remove", typed="repor").status_code == 422
    assert browser.post(f"{REPORT}/remove", typed="report").status_code == 303
    assert [entry.timer.name for entry in place.timers.list()] == [HOSTILE]
    done = [(record.action, record.way, record.why) for record in ChangeHistory(place.store).page().items][:4]
    assert done == [
        ("removed", Way.CONSOLE, ""),
        ("requested", Way.CONSOLE, ""),
        ("enabled", Way.CONSOLE, ""),
        ("disabled", Way.CONSOLE, "the mail server is slow"),
    ]


def test_a_waiting_run_is_ended(place: Place) -> None:
    """At once; asking twice changes nothing."""
    place.fill()
    browser = place.browser()
    assert browser.post("/runs/1/cancel").status_code == 303
    assert browser.post("/runs/1/cancel").status_code == 303
    run = RunHistory(place.store).run(1)
    assert run is not None
    assert run.outcome == "cancelled"


def test_several_timers_are_changed_after_a_page_that_lists_them(place: Place) -> None:
    """Those that are checked, or all that match, whatever page is shown."""
    place.timers.add([Timer(name=f"t{n:03}", function="f", trigger=Every(7)) for n in range(80)], now=place.now)
    browser = place.browser()
    asked = browser.post("/timers", action="enable", timer=["production:t001", "production:t002"])
    assert asked.status_code == 200
    assert "t001" in asked.text
    assert not any(entry.timer.enabled for entry in place.timers.list())
    named = ["production:t001", "production:t002", "production:gone"]
    assert browser.post("/timers", action="enable", timer=named, confirmed="yes").status_code == 303
    assert [entry.timer.name for entry in place.timers.list() if entry.timer.enabled] == ["t001", "t002"]
    asked = browser.post("/timers", action="remove", all="yes", text="t07")
    assert len(re.findall(r"<strong>t07\d</strong>", asked.text)) == 10


@pytest.mark.parametrize("form", [{}, {"action": "explode"}, {"action": "remove", "timer": "x", "confirmed": "yes"}])
def test_a_change_that_there_is_not_is_refused(place: Place, form: dict[str, str]) -> None:
    """And changes nothing."""
    place.fill()
    assert place.browser().post("/timers", **form).status_code == 400
    assert len(place.timers.list()) == 2


# What a viewer does not see


def _seen(browser: Browser) -> str:
    pages = ["/timers", REPORT, "/runs", "/runs/1", "/logs", "/changes", "/settings"]
    return "".join(browser.get(page).text for page in pages)


def test_what_the_setting_hides_is_hidden_from_viewers(make_place: Callable[..., Place]) -> None:
    """Parameters, results and lines, on every page; not from operators."""
    place = make_place(console_hide="params,lines,results")
    secret = "correct horse battery staple"
    timer = Timer(name="report", function="send", trigger=Every(7), params={"password": secret})
    place.timers.add([timer], now=place.now)
    place.browser().post(f"{REPORT}/run")
    printed(place, secret)
    place.timers.edit("report", Environment.PRODUCTION, {"params": {"password": f"{secret}!"}}, now=place.now)
    assert secret not in _seen(place.browser("viewer"))
    assert secret in _seen(place.browser("operator"))


def test_a_viewer_sees_no_buttons(place: Place) -> None:
    """Only those of preferences and of signing out."""
    place.fill()
    viewer = place.browser("viewer")
    for page in ("/timers", REPORT, "/runs", "/runs/1", "/changes"):
        forms = re.findall(r'<form[^>]*method="post" action="([^"]+)"', viewer.get(page).text)
        assert {form.rpartition("/")[2] for form in forms} <= {"logout", "timers"}, page


def test_passwords_of_addresses_are_on_no_page(make_place: Callable[..., Place]) -> None:
    """The settings name the store without them."""
    place = make_place(store="postgresql://anna:hunter2@db.example/timers")
    text = place.browser().get("/settings").text
    assert "db.example" in text
    assert "hunter2" not in text


def test_a_year_of_fires_is_a_chart_with_its_sum(place: Place) -> None:
    """As many as the trigger has."""
    timer = Timer(name="report", function="f", trigger=Cron("0 0 12 ? * MON", "UTC"), enabled=True)
    place.timers.add([timer], now=place.now)
    assert "52 fires on 52 days" in place.browser().get(REPORT, year="2026").text


def test_a_disabled_timer_has_a_run_in_progress_only_if_one_was_begun(place: Place) -> None:
    """A run that waits is none."""
    place.fill()
    browser = place.browser()
    assert "The run in progress" not in browser.get(urljoin(REPORT, browser.post(f"{REPORT}/disable").location)).text
    with place.store.writing() as connection:
        connection.execute(update(runs).values(owner=1, claimed_at=stamp(place.now)))
    assert "The run in progress" in browser.get(urljoin(REPORT, browser.post(f"{REPORT}/disable").location)).text


def test_an_empty_console_shows_the_first_steps(place: Place) -> None:
    """A whole file; and how to start the service, while none runs."""
    text = place.browser().get("/").text
    assert "from scheduler.engine import Engine" in text
    assert "scheduler up" in text


def test_one_fire_of_a_year_is_counted_as_one(place: Place) -> None:
    """And the day on which it is."""
    timer = Timer(name="once", function="f", trigger=Cron("0 0 9 24 12 ? 2026", "UTC"))
    place.timers.add([timer], now=place.now)
    browser = place.browser()
    assert "1 fire on 1 day<" in browser.get("/timers/production/once").text
    assert "0 fires on 0 days<" in browser.get("/timers/production/once", year="2027").text
    assert "共 1 次，分布在 1 天<" in browser.get("/timers/production/once", lang="zh").text


def test_names_of_authors_have_room(place: Place) -> None:
    """A short one is not broken within a word, on the pages of pauses and of changes."""
    place.fill()
    browser = place.browser()
    browser.post("/pauses")
    for page in ("/pauses", "/changes"):
        assert '<td class="by">operator 0' in browser.get(page).text
    assert ".rows .by { min-width: 10rem }" in browser.get("/static/console.css").text


def test_functions_are_described(place: Place) -> None:
    """By signature and documentation; a function that a timer calls and that was not loaded is marked."""
    place.fill()
    known = [FunctionDescription("clean", "(days: int = 7)", "Remove what is old.", "cloud.py:9")]
    replace_functions(place.store, Environment.PRODUCTION, known)
    page = place.browser().get("/functions").text
    for text in ("clean", "(days: int = 7)", "Remove what is old.", "cloud.py:9"):
        assert text in page
    assert page.count("not among the functions that were loaded last") == 1


def test_the_rules_say_why_they_apply(place: Place) -> None:
    """Without a setting, it is what was found in the environment."""
    for lang, why in (("en", "no variable of LeanCloud is set"), ("zh", "没有设置 LeanCloud 的变量")):
        assert why in place.browser().get("/settings", lang=lang).text


def test_a_zone_has_one_name_on_all_pages(make_place: Callable[..., Place]) -> None:
    """Of the machine and of the browser; where the timer's zone is that of the reader, its times are shown once."""
    place = make_place(tz="Etc/UTC")
    place.timers.add([Timer(name="t", function="send", trigger=Cron("0 0 8 * * ?", "Etc/UTC"))], now=place.now)
    browser = place.browser()
    for _ in range(2):
        assert "Times in UTC unless" in browser.get("/").text
        assert "In yours" not in browser.get("/timers/production/t").text
        browser.client.set_cookie("scheduler-zone", "UTC")


def test_a_function_of_both_environments_is_one_row(place: Place) -> None:
    """`scheduler up` serves both alike; one that differs has a row for each, and each row leads to its timers."""
    timers = [
        Timer(name=function, function=function, trigger=Every(60), environment=environment)
        for function in ("send", "clean")
        for environment in Environment
    ]
    place.timers.add(timers, now=place.now)
    for environment in Environment:
        place.load("send", environment=environment)
    replace_functions(
        place.store, Environment.STAGE, [FunctionDescription("send"), FunctionDescription("clean", "(n)")]
    )
    page = place.browser().get("/functions").text
    rows = re.findall(
        r'<a class="name mono" href="[^"]*">(\w+)</a>.*?<td>([^<]*)</td><td class="number"[^>]*><a href="([^"]*)">(\d)',
        page,
    )
    assert [(name, where, n) for name, where, _, n in rows] == [
        ("clean", "production", "1"),
        ("clean", "stage", "1"),
        ("send", "both environments", "2"),
    ]
    assert "environment" not in rows[2][2]
    assert "environment=stage" in rows[1][2]


def test_a_breaker_that_is_closed_offers_no_button_to_close_it(place: Place) -> None:
    """Failures below the threshold are told, without an alarm."""
    place.timers.add([Timer(name="t", function="send", trigger=Every(60), enabled=True)], now=place.now)
    for state, is_bad in (("closed", False), ("open", True)):
        with place.store.writing() as connection:
            connection.execute(update(timers_table).values(breaker_state=state, consecutive_failures=2))
        page = place.browser().get("/timers/production/t").text
        assert "2 failures in a row" in page
        is_alarm = re.search(r'note bad"><p>\s*<span class="trouble', page) is not None
        assert ("Close the breaker" in page, is_alarm) == (is_bad, is_bad)


def test_schedules_by_the_clock_name_their_zone(place: Place) -> None:
    """On the overview, in the list and on the page of the timer; an interval in seconds has none."""
    triggers = {
        "cron": Cron("0 0 8 ? * MON", "Asia/Tokyo"),
        "weekly": Calendrical(weeks=2, at="08:00", tz="Asia/Tokyo", start=date(2026, 12, 7)),
        "interval": Every(3600),
    }
    timers = [Timer(name=name, function="send", trigger=one, enabled=True) for name, one in triggers.items()]
    place.timers.add(timers, now=place.now)
    browser = place.browser()
    for page, expected in (("/", 2), ("/timers", 2)):
        assert browser.get(page).text.count('<span class="muted">Asia/Tokyo</span>') == expected
    shown = {name: browser.get(f"/timers/production/{name}").text for name in triggers}
    assert {name for name, text in shown.items() if '<span class="muted">Asia/Tokyo</span></p>' in text} == {
        "cron",
        "weekly",
    }


def test_a_viewer_from_whom_parameters_are_hidden_sees_no_defaults(make_place: Callable[..., Place]) -> None:
    """They may be secrets."""
    place = make_place(console_hide=["params"])
    replace_functions(place.store, Environment.PRODUCTION, [FunctionDescription("clean", "(key='sesame')")])
    assert "sesame" not in place.browser("viewer").get("/functions").text
    assert "sesame" in place.browser().get("/functions").text


def test_the_editor_offers_names(place: Place) -> None:
    """Functions that are loaded or called, tags of timers, and calendars."""
    place.fill()
    replace_functions(place.store, Environment.PRODUCTION, [FunctionDescription("clean")])
    page = place.browser().get("/timers/new").text
    for field, name in (("function", "clean"), ("function", "send"), ("tags", "billing"), ("calendar", "firm")):
        offered = re.search(f'<datalist id="field-{field}-names">(.*?)</datalist>', page)
        assert offered
        assert f'<option value="{name}">' in offered[1]
