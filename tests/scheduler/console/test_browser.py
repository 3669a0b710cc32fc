"""A real Chromium, on a real console beside a real `scheduler up`: the first day of a new user."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("flask")

from scheduler.console.tokens import new_link
from scheduler.store.database import Store
from tests.scheduler.up_process import Up, clean_environ
from tests.waiting import PATIENCE_S

from .served import CHROMIUM, launched

api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]

CLOUD = """
from scheduler.engine import Engine

engine = Engine()


@engine.define
def greet(name: str = "world"):
    print("greeting", name)
    if name == "nobody":
        raise ValueError("there is nobody to greet")
    return f"hello, {name}"
"""
ENGLISH = {
    "new": "New timer",
    "save": "Save, disabled",
    "enable": "Enable",
    "disable": "Disable",
    "run": "Run now",
    "edit": "Edit",
    "keep": "Save",
    "succeeded": "succeeded",
    "failed": "failed",
    "says": "At 02:30, Monday to Friday",
    "use": "Use",
    "changes": "Changes",
    "did": ["enabled", "added", "disabled", "changed", "requested a run", "requested a run"],
    "wrong": "5 fields, a Quartz expression has 6 or 7",
}
CHINESE = {
    "new": "创建定时任务",
    "save": "保存（不启用）",
    "enable": "启用",
    "disable": "停用",
    "run": "立即执行",
    "edit": "编辑",
    "keep": "保存",
    "succeeded": "成功",
    "failed": "失败",
    "says": "每周一至周五 02:30",
    "use": "改用",
    "changes": "变更",
    "did": ["启用", "创建", "停用", "修改", "请求执行", "请求执行"],
    "wrong": "有 5 个字段，Quartz 表达式有 6 或 7 个",
}


class RunningConsole:
    """One `scheduler console` in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        words = [sys.executable, "-m", "scheduler", "console", "--port", "0", "--json", *options]
        self.process = subprocess.Popen(words, cwd=folder, env=clean_environ(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        facts = json.loads(self.process.stdout.readline())
        self.url, self.link = facts["url"], facts["link"]

    def stop(self) -> int:
        """Send SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode


class Address(NamedTuple):
    """The address of a console, and a link that signs its reader in."""

    url: str
    link: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose timers fire."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "cloud.py").write_text(CLOUD)
    up = Up(folder)
    yield folder
    up.stop()


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[RunningConsole]:
    """A console for all tests of this file; those that use its printed link, or stop it, start one of their own."""
    console = RunningConsole(folder)
    yield console
    assert console.stop() == 0


@pytest.fixture
def console(running: RunningConsole) -> Address:
    with Store(running.folder / ".scheduler" / "store.db") as store:
        return Address(running.url, new_link(store, running.url, "operator", now=datetime.now(UTC)))


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """A page of a browser of its own; what its pages complain about is in `complaints`."""
    contexts = []

    def opened(**options: Any) -> Any:
        contexts.append(browser.new_context(timezone_id="Europe/Berlin", **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize(
    ("locale", "words", "scripts"),
    [("en-US", ENGLISH, True), ("zh-CN", CHINESE, True), ("en-US", ENGLISH, False)],
    ids=["English", "Chinese", "without JavaScript"],
)
def test_the_first_day(
    console: Address, open_page: Callable[..., Any], locale: str, words: dict[str, Any], scripts: bool
) -> None:
    """From a link to a timer that ran, failed, was read, and is disabled; and all of that on record."""
    page = open_page(locale=locale, java_script_enabled=scripts)
    name = f"first {locale} {scripts}"
    page.goto(console.link)
    page.get_by_role("link", name=words["new"]).first.click()
    page.locator("#field-name").fill(name)
    page.locator("#field-function").fill("greet")
    if scripts:
        page.locator("#field-cron").fill("30 2 * * 1-5")
        api.expect(page.locator("#preview .problems")).to_contain_text(words["wrong"])
        page.locator("#preview [data-use]").first.click()
        api.expect(page.locator("#field-cron")).to_have_value("0 30 2 ? * MON-FRI")
    page.locator("#field-cron").fill("0 30 2 ? * MON-FRI")
    if not scripts:
        page.locator('[value="look"]').click()
    api.expect(page.locator("#preview")).to_contain_text(words["says"])
    api.expect(page.locator("#preview table tr")).to_have_count(10)
    page.get_by_role("button", name=words["save"]).click()
    api.expect(page.locator("h1")).to_have_text(name)
    api.expect(page.locator("#now .two section").first.locator("tbody tr")).to_have_count(10)
    page.get_by_role("button", name=words["enable"], exact=True).click()
    page.get_by_role("button", name=words["run"]).click()
    _wait_for(page, ".summary .outcome.succeeded", words["succeeded"], reloads=not scripts)
    api.expect(page.locator(".lines")).to_contain_text("greeting world")

    page.locator(".crumbs a").last.click()
    page.get_by_role("link", name=words["edit"]).click()
    page.locator("#field-params").fill('{"name": "nobody"}')
    page.get_by_role("button", name=words["keep"], exact=True).click()
    page.get_by_role("button", name=words["run"]).click()
    _wait_for(page, ".summary .outcome.failed", words["failed"], reloads=not scripts)
    api.expect(page.locator("pre.bad")).to_contain_text("there is nobody to greet")

    page.locator(".crumbs a").last.click()
    page.get_by_role("button", name=words["disable"]).click()
    page.locator("main").get_by_role("link", name=words["changes"]).click()
    done = page.locator("tbody td strong").all_inner_texts()
    assert sorted(done) == sorted(words["did"])
    assert page.complaints == []


def _wait_for(page: Any, sign: str, word: str, *, reloads: bool) -> None:
    """Wait until the run of a page has ended; without JavaScript, it has to be requested again."""
    for _ in range(200 if reloads else 0):
        if page.locator(sign).count():
            break
        page.wait_for_timeout(100)
        page.reload()
    api.expect(page.locator(sign)).to_have_text(word, timeout=PATIENCE_S * 1000)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_no_page_is_wider_than_its_window(
    console: Address, folder: Path, open_page: Callable[..., Any], width: int
) -> None:
    """Also with a long name; tables and drawings scroll in their own frame."""
    page = open_page(viewport={"width": width, "height": 800}, color_scheme="dark")
    page.goto(console.link)
    page.goto(f"{console.url}timers/new")
    page.locator("#field-name").fill(f"{'a-very-long-name' * 8} {width}")
    page.locator("#field-function").fill("greet")
    page.locator("#field-cron").fill("0 0/5 * * * ?")
    page.get_by_role("button", name="Save and enable").click()
    names = ("timers", "timers/new", "runs", "logs", "changes", "settings")
    for address in [page.url, *(f"{console.url}{name}" for name in names)]:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
    assert page.complaints == []


@pytest.mark.parametrize(("width", "locale"), [(1280, "en-US"), (390, "zh-CN"), (390, "en-US")])
def test_the_editor_shows_its_choices_whole_and_the_meaning_above_the_buttons(
    console: Address, open_page: Callable[..., Any], width: int, locale: str
) -> None:
    """No choice is cut off, and in a narrow window the preview is seen while one types."""
    page = open_page(viewport={"width": width, "height": 800}, locale=locale)
    page.goto(console.link)
    page.goto(f"{console.url}timers/new?trigger=cron&cron=0+0+8+*+*+%3F")
    page.locator("details:has(#field-misfire) > summary").click()
    cut = page.locator("select").evaluate_all(
        """selects => selects.filter(select => {
          const room = select.parentElement.clientWidth;
          select.style.cssText = "max-width: none; width: max-content; justify-self: start";
          return select.offsetWidth > room;
        }).map(select => select.name)"""
    )
    assert cut == []
    preview, buttons, trigger = (
        page.locator(place).bounding_box()["y"] for place in ("#preview", ".editor .buttons", "#field-cron")
    )
    assert preview < buttons
    assert trigger < preview or width > 1024


def test_rows_of_timers_are_alike_in_a_narrow_window(console: Address, open_page: Callable[..., Any]) -> None:
    """The name, the strip and the schedule begin at the same edge in each row, also in the last one."""
    page = open_page(viewport={"width": 390, "height": 800})
    page.goto(console.link)
    for name in ("narrow 1", "narrow 2"):
        page.goto(f"{console.url}timers/new")
        page.locator("#field-name").fill(name)
        page.locator("#field-function").fill("greet")
        page.locator("#field-cron").fill("0 * * * * ?")
        page.get_by_role("button", name="Save, disabled").click()
    page.goto(f"{console.url}timers")
    lefts = page.locator("#rows tbody tr").evaluate_all(
        """rows => rows.map(row => ["th", ".drawn", ".drawn + td"].map(
          cell => row.querySelector(cell).getBoundingClientRect().left))"""
    )
    assert len(lefts) >= 2
    assert {left for row in lefts for left in row} == {lefts[0][0]}


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_the_next_fires_of_a_timer_are_seen_whole(console: Address, open_page: Callable[..., Any], locale: str) -> None:
    """In both zones, in a window of 1280 pixels."""
    page = open_page(viewport={"width": 1280, "height": 800}, locale=locale)
    page.goto(console.link)
    page.goto(f"{console.url}timers/new")
    page.locator("#field-name").fill(f"wide {locale}")
    page.locator("#field-function").fill("greet")
    page.locator("#field-cron").fill("0 */15 * * * ?")
    page.locator("#field-tz").fill("Asia/Shanghai")
    page.locator(".editor .buttons button").nth(1).click()
    table = page.locator("#now .scroll:has(thead)")
    assert table.locator("td").count() > 20
    assert table.evaluate("frame => frame.scrollWidth - frame.clientWidth") <= 0


def test_the_year_of_a_preview_is_seen_whole(console: Address, open_page: Callable[..., Any]) -> None:
    """All twelve months in a window of 1280 pixels, and their names at least 9 pixels high."""
    page = open_page(viewport={"width": 1280, "height": 800})
    page.goto(console.link)
    page.goto(f"{console.url}timers/new?trigger=cron&cron=0+0+8+*+*+%3F")
    year = page.locator(".preview .year")
    hidden, size = year.evaluate(
        """drawing => {
          const text = drawing.querySelector("text"), frame = drawing.parentElement;
          return [frame.scrollWidth - frame.clientWidth, parseFloat(getComputedStyle(text).fontSize) * text.getCTM().a];
        }"""
    )
    assert hidden <= 0
    assert size >= 9


def test_hostile_texts_run_nowhere(console: Address, open_page: Callable[..., Any]) -> None:
    """Names, descriptions, tags and parameters with markup and script are shown as they are."""
    hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'"
    page = open_page()
    page.goto(console.link)
    page.goto(f"{console.url}timers/new")
    for field in ("name", "function", "description", "tags"):
        page.locator(f"#field-{field}").fill(hostile)
    page.locator("#field-params").fill(json.dumps({"text": hostile}))
    page.locator("#field-cron").fill("0 0 8 * * ?")
    page.get_by_role("button", name="Save, disabled").click()
    api.expect(page.locator("h1")).to_have_text(hostile)
    for name in ("timers", "changes", f"timers?text={'%22%3E'}"):
        page.goto(f"{console.url}{name}")
        api.expect(page.locator("main")).to_contain_text("onerror=alert(1)")
    page.goto(f"{console.url}timers/new?trigger=cron&cron={hostile}")
    assert page.complaints == []


def test_two_consoles_on_one_host_keep_their_sessions(
    console: Address, tmp_path: Path, open_page: Callable[..., Any]
) -> None:
    """All ports of a host share their cookies, so each has a name of its own."""
    other = RunningConsole(tmp_path)
    page = open_page()
    page.goto(console.link)
    page.goto(other.link)
    for url in (console.url, other.url):
        page.goto(f"{url}timers")
        assert re.fullmatch(rf"{url}timers", page.url)
    assert other.stop() == 0


def test_pages_are_live(console: Address, open_page: Callable[..., Any]) -> None:
    """A run appears by itself; in a list, new ones wait behind a button; a checked row stays checked."""
    page, other = open_page(), open_page()
    page.goto(console.link)
    page.goto(f"{console.url}timers/new?name=live&function=greet&trigger=cron&cron=0+0+8+*+*+%3F")
    page.get_by_role("button", name="Save, disabled").click()
    timer = page.url
    _sign_in_too(other, page)
    other.goto(timer)
    other.get_by_role("button", name="Run now").click()
    api.expect(page.locator("#now tbody .outcome.succeeded")).to_have_count(1)
    page.goto(f"{console.url}runs?timer=live")
    api.expect(page.locator("#live")).to_contain_text("Live")
    other.goto(timer)
    other.get_by_role("button", name="Run now").click()
    page.locator("#newer").click()
    api.expect(page.locator("#rows tbody tr")).to_have_count(2)

    page.goto(f"{console.url}timers")
    api.expect(page.locator("#live")).to_contain_text("Live")
    page.locator("#rows [value='production:live']").check()
    page.locator("#live").click()
    api.expect(page.locator("#live")).to_contain_text("Paused")
    page.locator("#live").click()
    other.goto(timer)
    with page.expect_response(lambda answer: answer.url.endswith("/timers") and answer.status == 200):
        other.get_by_role("button", name="Enable", exact=True).click()
    api.expect(page.locator("#rows tr:not(.off) [value='production:live']")).to_be_checked()
    assert page.complaints == []


def test_the_page_of_a_timer_follows_its_failures(console: Address, open_page: Callable[..., Any]) -> None:
    """The note with the last error appears by itself, and so does the state; the focus stays on its button."""
    page, other = open_page(), open_page()
    page.goto(console.link)
    page.goto(f"{console.url}timers/new?name=fails&function=greet&trigger=cron&cron=0+0+8+*+*+%3F")
    page.locator("#field-params").fill('{"name": "nobody"}')
    page.get_by_role("button", name="Save, disabled").click()
    api.expect(page.locator("#live")).to_contain_text("Live")
    page.get_by_role("button", name="Run now").focus()
    _sign_in_too(other, page)
    other.goto(page.url)
    other.get_by_role("button", name="Run now").click()
    api.expect(page.locator("#head .note")).to_contain_text("there is nobody to greet", timeout=PATIENCE_S * 1000)
    api.expect(page.get_by_role("button", name="Run now")).to_be_focused()
    other.goto(page.url)
    other.get_by_role("button", name="Enable", exact=True).click()
    api.expect(page.locator("#head .state.on")).to_be_visible()
    page.get_by_role("button", name="Disable", exact=True).click()
    api.expect(page.locator("#head .state.off")).to_be_visible()
    assert page.complaints == []


def test_a_page_is_live_again_after_the_console_was_full(console: Address, open_page: Callable[..., Any]) -> None:
    """The browser gives up after one refusal of the stream; the page tries again by itself."""
    page = open_page()
    refusals = []

    def refuse(route: Any) -> None:
        if len(refusals) < 2:
            refusals.append(route.request.url)
            route.fulfill(status=503)
        else:
            route.continue_()

    page.route("**/live", refuse)
    page.goto(console.link)
    api.expect(page.locator("#live")).to_contain_text("Not live")
    api.expect(page.locator("#live")).to_contain_text("pause", timeout=PATIENCE_S * 1000)
    assert len(refusals) == 2


def test_the_zone_of_the_browser_is_followed(console: Address, open_page: Callable[..., Any]) -> None:
    """Unless another one was chosen."""
    page = open_page()
    page.goto(console.link)

    def seen_in(zone: str) -> Any:
        page.add_init_script(
            f"Intl.DateTimeFormat.prototype.resolvedOptions = () => ({{timeZone: '{zone}', locale: 'en'}});"
        )
        page.reload()
        page.reload()
        return api.expect(page.locator("footer"))

    seen_in("Europe/Berlin").to_contain_text("Europe/Berlin")
    seen_in("Asia/Tokyo").to_contain_text("Asia/Tokyo")
    page.goto(f"{console.url}settings")
    page.locator("#zone").fill("America/Lima")
    page.get_by_role("button", name="Save").click()
    seen_in("Asia/Kolkata").to_contain_text("America/Lima")


def _sign_in_too(other: Any, page: Any) -> None:
    other.context.add_cookies(page.context.cookies())


def test_the_last_page_stays_while_nothing_answers(folder: Path, open_page: Callable[..., Any]) -> None:
    """Greyed, with the time since when; it goes on by itself when the console is back."""
    first = RunningConsole(folder)
    page = open_page()
    page.goto(first.link)
    api.expect(page.locator("#live")).to_contain_text("Live")
    assert page.locator("#lost").is_hidden()
    first.stop()
    api.expect(page.locator("#lost")).to_contain_text(re.compile(r"No answer since \d\d:\d\d:\d\d \+0\d:00"))
    api.expect(page.locator("html")).to_have_class(re.compile("lost"))
    second = RunningConsole(folder, "--port", first.url.rstrip("/").rpartition(":")[2])
    api.expect(page.locator("#lost")).to_be_hidden()
    api.expect(page.locator("html")).not_to_have_class(re.compile("lost"))
    assert second.stop() == 0


def test_a_link_is_used_once(console: Address, open_page: Callable[..., Any]) -> None:
    """The second reader has to sign in, and the page says why."""
    open_page().goto(console.link)
    page = open_page()
    page.goto(console.link)
    api.expect(page.get_by_role("alert")).to_contain_text("is not valid")
