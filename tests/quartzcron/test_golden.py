"""The answers of Quartz 2.3.2 itself, and the expressions that people wrote."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quartzcron import CronError, CronExpression
from tests.quartzcron.quartz_answers import fires_quartz, fires_vixie, satisfied

GOLDEN = Path(__file__).parent / "golden"

#: Full names of months and days: Quartz reads the first three letters and drops the rest; exact names mean the same.
FULL_NAMES = {
    "0 11 7 ? * MONDAY,TUESDAY,WEDNESDAY,THURSDAY,FRIDAY,SATURDAY,SUNDAY *",
    "0 4 5 1 JANUARY,FEBRUARY,MARCH,APRIL,MAY,JUNE,JULY,AUGUST,SEPTEMBER,OCTOBER,NOVEMBER,DECEMBER ? *",
}

#: Where the fires differ from those of Quartz 2.3.2: it ignores the step of MON/3, and drops all but one W of a list.
DIFFERENT = {
    "0 0 14/2 ? * mon/3 *": ["2026-01-01T14:00:00Z", "2026-01-01T16:00:00Z", "2026-01-01T18:00:00Z"],
    "0 30 14 1W,15W * ? *": ["2026-01-01T14:30:00Z", "2026-01-15T14:30:00Z", "2026-02-02T14:30:00Z"],
}


def records() -> list[dict[str, Any]]:
    with gzip.open(GOLDEN / "vectors-dev.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def is_right(record: dict[str, Any], got: list[int] | None, fires: Any, fixed: Any) -> bool:
    """As the vectors' README says: `same` equals Quartz, `fix` the documented rule, `either` may be refused."""
    if got is not None and record.get("end") == "cut":  # nothing is claimed beyond the horizon of the record
        horizon = len(record["f"])
        got, fires, fixed = (value if value is None else value[:horizon] for value in (got, fires, fixed))
    match record["want"]:
        case "same":
            return bool(got == fires)
        case "reject":
            return got is None
        case "fix":
            return bool(got == fixed)
        case _:
            return got is None or bool(got == fixed)


def answer(fires: Any, record: dict[str, Any]) -> list[int] | None:
    try:
        return list(fires(record["e"], record["z"], record["s"], record["n"]))
    except CronError:
        return None


def test_every_golden_answer_is_right_under_the_quartz_policy() -> None:
    """Fires, refusals and isSatisfiedBy agree with all 6,010 records."""
    wrong = []
    for record in records():
        if record["k"] == "sat":
            good = [int(satisfied(record["e"], record["z"], time)) for time in record["t"]] == record["r"]
        else:
            good = is_right(record, answer(fires_quartz, record), record.get("f"), record.get("x"))
        if not good:
            wrong.append(record["i"])
    assert wrong == []


def test_every_golden_answer_is_right_under_the_vixie_policy() -> None:
    """Fires and refusals agree with all records, those with an answer of their own for this policy included."""
    wrong = [
        record["i"]
        for record in records()
        if record["k"] != "sat"
        and not is_right(
            record, answer(fires_vixie, record), record.get("c", record.get("f")), record.get("c", record.get("x"))
        )
    ]
    assert wrong == []


def realworld() -> list[tuple[str, str, str, str]]:
    lines = (GOLDEN / "realworld.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [(row[1], row[2], row[3], row[4]) for row in rows]


def first_fires(text: str) -> list[str]:
    fires = CronExpression(text).fires(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
    return [fire.isoformat().replace("+00:00", "Z") for fire, _ in zip(fires, range(3), strict=False)]


@pytest.mark.parametrize(("verdict", "advice", "text", "told"), realworld())
def test_what_people_wrote_fires_or_is_refused_as_quartz_has_it(
    verdict: str, advice: str, text: str, told: str
) -> None:
    """812 expressions from public code: the first three fires of 2026, or a CronError."""
    told = told.partition(" new:")[0]
    if text in DIFFERENT:
        assert first_fires(text) == DIFFERENT[text]
    elif advice == "accepts":
        assert CronExpression.is_valid(text)
    elif text not in FULL_NAMES and (advice == "reject" or verdict in ("error", "exc", "hang")):
        assert not CronExpression.is_valid(text)
    else:
        assert first_fires(text) == told.split()
