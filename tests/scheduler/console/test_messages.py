"""Messages of errors in Chinese, and the codes of problems of expressions."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("flask")

from quartzcron import CronExpression, CronSyntaxError
from scheduler.console.messages import code_of, said
from scheduler.console.messages_zh import FIELDS, MESSAGES

#: Texts with each problem that an expression may have.
INVALID = [
    *(
        "",
        "0",
        "* * * * *",
        "0 0 8 * * MON * * *",
        "0 75 25 ? * MON",
        "0 0 8 32 13 ?",
        "0 0 8 ? * 8",
        "1/x 0 8 ? * MON",
    ),
    *(
        "0/ 0 8 ? * MON",
        "0/61 0 8 ? * MON",
        "5-x 0 8 ? * *",
        "0 0 8 ? * MON-3",
        "0 0 8 ? * MON 2030-2026",
        "1,,2 0 8 ? * *",
    ),
    *(
        "5- 0 8 ? * *",
        "? 0 8 ? * *",
        "0 0 8 5C * ?",
        "0 L 8 ? * *",
        "0 0 8 ? * 6#3,2#1",
        "0 0 8 ? * 6#9",
        "0 0 8 ? * MON-6L",
    ),
    *(
        "0 0 8 ? * 3W",
        "0 0 8 L-31 * ?",
        "0 0 8 32W * ?",
        "0 0 8 WL * ?",
        "0 0 8 LW-3 * ?",
        "0 0 8 L3 * ?",
        "0 0 8 1-5W * ?",
    ),
    *("0 0 8 W * ?", "0 0 8 LX * ?", "0 0 8 ? * ?", "0 0 8 * * *", "0 0 8 1 * MON", "0 0 8 * * MON", "0 0 8 * * 2"),
    *("0 0 8 * * 0", "0 0 8 * * 1-5", "é 0 8 ? * *", "0 0\u200b 8 ? * *", "'0 0 8 ? * MON'", "TZ=UTC 0 0 8 ? * *"),
    *("@daily", "cron(0 8 * * ? *)", "rate(5 minutes)", "every 5 minutes", "0 0 8 ? * MON UTC", "0 8 * * * /bin/true"),
    *("0 8 * * ? *", "0 0 8 ? * MON # now", "0 0 8 ? * * || 0 0 9 ? * *", "2026-12-24 18:00", "Mon *-*-* 08:00:00"),
    *(
        "FREQ=DAILY",
        "H 0 8 ? * *",
        "0 0 8 ? * FOO",
        "0 0 8 ? FOO *",
        "0 0 8 ? * MON 1969",
        "5 * * * * *",
        "0 0 8 ? * L1",
    ),
    *("0 0 8 ? * MON, FRI", "(0 0 8 * * ?)", "8:30", "0 0 8 ? * #3", "H H * * *", "0 0 8 ? * MÄR", "0 0 8 ? * MON\0"),
    "0,0,8,*,*,?",
]


def problems() -> list[tuple[str, str]]:
    """Every message and hint of these texts, with the text."""
    found = []
    for text in INVALID:
        with pytest.raises(CronSyntaxError) as caught:
            CronExpression(text)
        for problem in caught.value.problems:
            found += [(text, part) for part in (problem.message, problem.hint) if part]
    return found


def test_problems_of_expressions_are_said_in_chinese() -> None:
    """Each message and each hint; a code names the kind of each message."""
    english = [(text, part) for text, part in problems() if not re.search("[\u4e00-\u9fff]", said("zh", part))]
    assert english == []
    assert {code_of(part) for _, part in problems()} >= {"out_of_range", "both_days_given", "number_of_fields"}
    assert all(code_of(part) for _, part in problems())


def test_a_problem_is_said_with_its_place() -> None:
    """As on a form; an unknown message stays as it is, and English readers get all of them so."""
    problem = "months, column 9: 13 is out of range; months go from 1 to 12 or JAN to DEC"
    assert said("zh", problem) == "月，第 9 列：13 超出范围；月为 1 到 12，或 JAN 到 DEC"
    assert said("en", problem) == problem
    assert said("zh", "a class of another package said no") == "a class of another package said no"
    assert said("zh", "x is out of range" * 100_000).startswith("x is")


@pytest.mark.parametrize(("code", "english", "chinese"), MESSAGES, ids=[row[1][:40] for row in MESSAGES])
def test_a_row_says_every_value_it_has(code: str, english: str, chinese: str) -> None:
    """And is found by its own sentence, before shorter ones that fit too."""
    values = [f"<{number}>" for number in range(english.count("{}"))]
    shown = said("zh", english.format(*values))
    assert shown == chinese.format(*values)
    assert re.fullmatch(r"[a-z_]+", code)


def test_every_field_has_a_name() -> None:
    """As messages name it."""
    assert len(FIELDS) == 7
