"""Pickles of version 0.1.0 load, and the earlier names of modules stay importable.

tests/golden/pickles-0.1.0.json was written by version 0.1.0. Each row has a Python expression with public names, and
the pickle of its value, or of the error that it raises.
"""

from __future__ import annotations

import base64
import datetime
import importlib
import json
import pickle
import zoneinfo
from pathlib import Path
from typing import Any

import pytest
import pytz

import quartzcron
import scheduler
from quartzcron import calendars, schedules
from quartzcron.contrib import celery
from scheduler.core import run

ROWS: list[dict[str, str]] = json.loads(
    (Path(__file__).parent / "golden" / "pickles-0.1.0.json").read_text(encoding="utf-8")
)
#: The names with which the expressions of the file were evaluated.
NAMES = {
    **{name: getattr(quartzcron, name) for name in quartzcron.__all__},
    **{name: getattr(scheduler, name) for name in scheduler.__all__},
    **{name: getattr(datetime, name) for name in ("UTC", "date", "datetime")},
    **{name: getattr(run, name) for name in ("Kind", "Line", "Outcome", "Run")},
    **{name: getattr(schedules, name) for name in ("overlap", "union")},
    "Calendar": calendars.Calendar,
    "ZoneInfo": zoneinfo.ZoneInfo,
    "pytz": pytz,
    "quartz": celery.quartz,
}
MOVED = [
    *((f"quartzcron.{earlier}", f"quartzcron.{now}") for earlier, now in quartzcron._MOVED.items()),
    *scheduler._MOVED.items(),
]


def evaluated(text: str) -> Any:
    """The value of an expression, or the error that it raises."""
    try:
        return eval(text, dict(NAMES))  # the file is ours
    except ValueError as error:
        return error


def comparable(value: Any) -> object:
    """The value itself, or, for an error, which compares by identity, its type, and its attributes but for the hint.

    Errors may have got another hint since the first version.
    """
    if not isinstance(value, Exception):
        return value
    return type(value), {name: repr(stands) for name, stands in vars(value).items() if name != "hint"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.get("value") or row["error"])
def test_a_pickle_of_the_first_version_is_the_value_that_was_pickled(
    row: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickle of today is, too. A Cron that named no zone was in LeanCloud's then."""
    monkeypatch.setenv("SCHEDULER_RULES", "leancloud")
    expected = evaluated(row.get("value") or row["error"])
    assert isinstance(expected, Exception) == ("error" in row)
    for pickled in (base64.b64decode(row["pickle"]), pickle.dumps(expected)):
        value = pickle.loads(pickled)
        assert comparable(value) == comparable(expected)
        # The first version pickled calendars without their names, and errors with other hints.
        if pickled == pickle.dumps(expected) or not ("error" in row or ".excluding(" in row["value"]):
            assert repr(value) == repr(expected)


def test_a_zone_is_one_object_however_it_came_here() -> None:
    """Tables are found by the identity of a zone, so a copy would not share them."""
    zone = quartzcron.CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai").tz
    rows = [row for row in ROWS if row.get("value", "").endswith(".tz")]
    assert [pickle.loads(base64.b64decode(row["pickle"])) is zone for row in rows] == [True]
    assert pickle.loads(pickle.dumps(zone)) is zone


@pytest.mark.parametrize(("earlier", "now"), MOVED)
def test_an_earlier_name_of_a_module_hands_on_what_the_module_has(earlier: str, now: str) -> None:
    """Every public name, by attribute and by `from earlier import name`."""
    module, contents = importlib.import_module(earlier), importlib.import_module(now)
    names = [name for name in vars(contents) if not name.startswith("_")]
    assert names
    for name in names:
        namespace: dict[str, object] = {}
        exec(f"from {earlier} import {name} as found", namespace)
        assert getattr(module, name) is namespace["found"] is getattr(contents, name)
