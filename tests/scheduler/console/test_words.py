"""The texts of the console in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.console import app
from scheduler.console.trigger_words import words_of
from scheduler.console.words import LANGUAGES, text
from scheduler.core.any_of import AnyOf
from scheduler.core.at import At
from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.calendrical import Calendrical
from scheduler.core.run import Kind, Outcome
from scheduler.core.triggers import Cron, Every, Trigger
from scheduler.store.change_recording import Action, Subject, Way
from scheduler.store.timer_pages import TimerState

FOLDER = Path(app.__file__).parent
ENGLISH, CHINESE = LANGUAGES["en"], LANGUAGES["zh"]


def test_both_languages_have_the_same_keys() -> None:
    """In the same order, so that they can be read side by side."""
    assert list(ENGLISH) == list(CHINESE)


def test_both_languages_have_the_same_values() -> None:
    """A text with a place for a value has it in both; only "1 timer" may do without its number."""
    places = re.compile(r"\{(\w+)\}")
    for key, words in ENGLISH.items():
        if not key.endswith(".help"):
            wanted, found = set(places.findall(words)), set(places.findall(CHINESE[key]))
            assert wanted - {"n"} == found - {"n"}, key
            assert key.endswith(".one") or wanted == found, key


def test_no_chinese_text_is_english() -> None:
    """But for names of things that have no other."""
    latin = {key for key, words in CHINESE.items() if not re.search(r"[\u3000-\u9fff]", words)}
    assert latin <= {"brand", "way.api", "environment.x", "run.request_id", "colon", "comma", "semicolon"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("templates/*.html")), ids=lambda path: path.stem)
def test_marks_between_texts_are_those_of_the_language(path: Path) -> None:
    """A template has none of its own after a text, but in the signature of a function and on the page in English."""
    own = re.findall(r"(?:[}>]|%})[:,;] (?=[{<])", path.read_text(encoding="utf-8"))
    assert len(own) == {"function": 1}.get(path.stem, 0)


def test_every_key_of_a_template_has_words() -> None:
    """A missing one would be a page that does not open."""
    used = set()
    for path in [*FOLDER.glob("templates/*.html"), *FOLDER.rglob("*.py")]:
        used |= set(re.findall(r"""\bt\(\s*["']([\w.]+)["']""", path.read_text(encoding="utf-8")))
    # One that ends with a dot is the beginning of several.
    missing = {
        key for key in used if not any(word == key or (key[-1] == "." and word.startswith(key)) for word in ENGLISH)
    }
    assert missing == set()
    assert len(used) > 100


def test_the_values_of_the_core_have_words() -> None:
    """States, outcomes, kinds, ways and attributes that are added have to be named in both languages."""
    keys = [
        *(f"outcome.{outcome}" for outcome in [*Outcome, "running", "waiting", "open"]),
        *(f"kind.{kind}" for kind in Kind),
        *(f"timers.{state}" for state in TimerState),
        *(f"way.{way}" for way in Way),
        *(f"did.{action}" for action in Action),
        *(f"subject.{subject}" for subject in Subject if subject is not Subject.TIMER),
        *(f"attribute.{attribute.name}" for attribute in ATTRIBUTES if attribute.name != "enabled"),
        *(f"choice.{choice}" for attribute in ATTRIBUTES for choice in attribute.choices),
    ]
    assert [key for key in keys if key not in ENGLISH] == []


def test_one_thing_is_counted_as_one() -> None:
    """English has a form of its own for it."""
    assert text("en", "timers.overdue", n=1) == "1 timer is overdue"
    assert text("en", "timers.overdue", n=2) == "2 timers are overdue"
    assert text("en", "timeline.busiest", n=1, gap="1 h") == "At most 1 fire of these timers within 1 h."
    assert text("en", "timer.durations_label", n=1, longest="3 s") == "1 run, it took 3 s"


@pytest.mark.parametrize(
    ("trigger", "english", "chinese"),
    [
        (Every(7200), "Every 2 hours", "每 2 小时"),
        (
            Calendrical(weeks=2, at="09:00", start="2026-12-01", tz="UTC"),
            "Every 2 weeks on Tue at 09:00, from 2026-12-01 on",
            "每 2 周的周二 09:00，从 2026-12-01 起",
        ),
        (
            Calendrical(years=1, months=2, at="09:00:05", start="2026-12-01", tz="UTC"),
            "Every 1 year and 2 months on day 1 of the month at 09:00:05, from 2026-12-01 on",
            "每 1 年零 2 个月的 1 日 09:00:05，从 2026-12-01 起",
        ),
        (At("2026-12-24T18:00", tz="UTC"), "Once, at 2026-12-24 18:00:00 +00:00", "一次：2026-12-24 18:00:00 +00:00"),
        (
            AnyOf(Every(60), Cron("0 0 8 * * ?", "UTC")),
            "Every minute; or at 08:00 every day",
            "每分钟；或每天 08:00",
        ),
        (
            AnyOf(Cron("0 0 8 * * ?", "Asia/Tokyo"), Cron("0 0 8 * * ?", "Europe/London")),
            "At 08:00 every day (Asia/Tokyo); or at 08:00 every day (Europe/London)",
            "每天 08:00（Asia/Tokyo 时间）；或每天 08:00（Europe/London 时间）",
        ),
        (
            Calendrical(weeks=1, at="09:00", start="2026-12-01", tz="UTC"),
            "Every week on Tue at 09:00, from 2026-12-01 on",
            "每周的周二 09:00，从 2026-12-01 起",
        ),
        (
            Calendrical(months=1, at="09:00", start="2026-12-31", tz="UTC"),
            "Every month on day 31, if it has one, at 09:00, from 2026-12-31 on",
            "每月 31 日（如有） 09:00，从 2026-12-31 起",
        ),
        (
            Calendrical(months=3, at="09:00", start="2026-12-31", tz="UTC"),
            "Every 3 months on day 31 of the month, if it has one, at 09:00, from 2026-12-31 on",
            "每 3 个月的 31 日（如有） 09:00，从 2026-12-31 起",
        ),
        (
            Calendrical(years=1, at="09:00", start="2024-02-29", tz="UTC"),
            "Every year on 02-29, if it has one, at 09:00, from 2024-02-29 on",
            "每年的 02-29（如有） 09:00，从 2024-02-29 起",
        ),
        (
            Calendrical(years=1, at="09:00", start="2024-02-01", tz="UTC"),
            "Every year on 02-01 at 09:00, from 2024-02-01 on",
            "每年的 02-01 09:00，从 2024-02-01 起",
        ),
        (
            Calendrical(days=1, at="09:00", start="2026-12-01", tz="UTC"),
            "Every day at 09:00, from 2026-12-01 on",
            "每天 09:00，从 2026-12-01 起",
        ),
    ],
)
def test_every_kind_of_trigger_has_words(trigger: Trigger, english: str, chinese: str) -> None:
    """In both languages."""
    assert (words_of(trigger, "en"), words_of(trigger, "zh")) == (english, chinese)
