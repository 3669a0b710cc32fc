"""The pages of reference against the code: settings, names to import, options of a timer."""

from __future__ import annotations

import dataclasses
import importlib
import re

import pytest

from scheduler import Scheduler
from scheduler.alerts import texts
from scheduler.core.alerts import Cause
from scheduler.core.attributes import ATTRIBUTES, Delivery
from scheduler.core.calendars import RollConvention
from scheduler.core.chains import ThenOn
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.trigger_kinds import TRIGGERS, trigger_options
from scheduler.project.setting_table import ENVIRONMENTS, EXECUTOR_SETTINGS, SETTINGS
from scheduler.project.settings import Settings, read_settings
from scheduler.service.timers import ManagedTimers
from tests.imports import ROOT
from tests.test_documents import blocks_of, text_of

ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", re.MULTILINE)
#: Settings whose default depends on where a command is started.
DEPENDS = {"target", "tz"}


#: The page, and the one in Chinese.
SETTINGS_PAGES = ("docs/settings.md", "docs/settings.zh-CN.md")


def rows(page: str = "docs/settings.md") -> dict[str, tuple[str, str]]:
    """The table of a page of settings: each setting with its default and its meaning."""
    return {name: (default, meaning) for name, default, meaning in ROW.findall(text_of(page))}


def of_environments() -> set[str]:
    """Settings that a table of an environment may have; the page lists them below its table."""
    return {name for name in SETTINGS if name.startswith(tuple(f"{environment}_" for environment in ENVIRONMENTS))}


def test_the_page_has_every_setting() -> None:
    """And no other."""
    assert set(rows()) == set(SETTINGS) - of_environments()
    text = text_of("docs/settings.md").partition("may differ for each environment")[0].splitlines()[-1]
    named = set(re.findall(r"`(\w+)`", text))
    assert {f"{environment}_{name}" for environment in ENVIRONMENTS for name in named} == of_environments()


@pytest.mark.parametrize("page", SETTINGS_PAGES)
@pytest.mark.parametrize("name", sorted(set(SETTINGS) - of_environments() - DEPENDS))
def test_the_page_shows_the_default_of_a_setting(name: str, page: str) -> None:
    """As the code has it."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    default = EXECUTOR_SETTINGS[name].default if name in EXECUTOR_SETTINGS else defaults[name]
    shown = rows(page)[name][0].strip("`").replace("无", "none")
    assert shown == _as_toml(default)


def _as_toml(default: object) -> str:
    """A default as the page shows it: as scheduler.toml has it, or that there is none."""
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("page", SETTINGS_PAGES)
@pytest.mark.parametrize("name", sorted(set(SETTINGS) - of_environments()))
def test_the_page_names_the_variables_of_a_setting(name: str, page: str) -> None:
    """Where there are others than the usual one, in the order of their strength."""
    variables = SETTINGS[name].variables
    shown = tuple(re.findall(r"`((?:SCHEDULER|LEANCLOUD|LC)_\w+)`", rows(page)[name][1]))
    assert shown == (() if variables == (f"SCHEDULER_{name.upper()}",) else variables)


def test_the_example_of_the_page_is_valid(tmp_path: object) -> None:
    """It is read without a change."""
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    (text,) = [text for language, text in blocks_of("docs/settings.md") if language == "toml"]
    (tmp_path / "scheduler.toml").write_text(text)
    settings = read_settings(tmp_path, {}, {})
    assert (settings.port, settings.executor_setting("workers"), settings.stage_target) == (8080, 4, "preview/cloud.py")


MODULES = (
    "quartzcron",
    "quartzcron.calendars",
    "quartzcron.schedules",
    "scheduler",
    "scheduler.engine",
    "scheduler.functions",
    "scheduler.testing",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_names_to_import_are_on_their_page(name: str) -> None:
    """All that a module exports, in its row; and what the row names exists."""
    (row,) = re.findall(rf"^\| `{re.escape(name)}` \| (.*) \|$", text_of("docs/api.md"), re.MULTILINE)
    module = importlib.import_module(name)
    assert set(module.__all__) <= set(re.findall(r"`(\w+)", row))


def test_the_methods_of_a_scheduler_are_on_the_page() -> None:
    """Each, in the second table."""
    table = text_of("docs/api.md").partition("| a `Scheduler` | does |")[2]
    public = {name for cls in (Scheduler, ManagedTimers) for name in vars(cls) if not name.startswith("_")}
    assert public - {"store"} == set(re.findall(r"`(?:history\.|changes\.)?(\w+)[(`]", table)) - {"with", "page"}


def test_the_options_of_a_timer_are_on_the_page() -> None:
    """Under each of their names."""
    table = text_of("docs/timer-service.md").partition("| on the command line | in programs")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([\w-]+)`", table))
    for attribute in ATTRIBUTES:
        if attribute.flag not in (None, "--function", "--params"):
            assert {attribute.flag, attribute.name, attribute.column} <= named, attribute.name
    for option in trigger_options(list(TRIGGERS.values())):
        assert {option.flag or option.column, option.column} <= named, option.name


@pytest.mark.parametrize("page", ["docs/timer-service.md", "docs/timer-service.zh-CN.md"])
def test_the_choices_of_a_timer_are_on_the_page(page: str) -> None:
    """Each value of a policy, in both languages."""
    named = set(re.findall(r"`(\w+)`", text_of(page)))
    for choices in (MisfirePolicy, OverlapPolicy, Delivery, RollConvention, ThenOn):
        assert set(choices) <= named, choices.__name__


@pytest.mark.parametrize("page", ["docs/alerts.md", "docs/alerts.zh-CN.md"])
def test_the_causes_of_alerts_are_on_the_page(page: str) -> None:
    """Each, in both languages; and each has words for the title of an alert."""
    assert set(Cause) <= set(re.findall(r"`(\w+)`", text_of(page)))
    assert set(Cause) == set(texts.WORDS)


def test_every_page_is_reached_from_the_readme() -> None:
    """By a link, or by one from a page that is linked there; the Chinese ones from the Chinese README."""
    seen, found = set(), ["README.md", "README.zh-CN.md"]
    while found:
        page = found.pop()
        seen.add(page)
        for link in re.findall(r"\]\(([^)#]+\.md)", text_of(page)):
            target = (ROOT / page).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()
            if target not in seen:
                found.append(target)
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= seen
