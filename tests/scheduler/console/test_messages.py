"""Messages of errors in Chinese, and the codes of problems of expressions."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("flask")

from quartzcron import CronExpression, CronSyntaxError
from scheduler import install
from scheduler.console.findings_zh import CHECKS, CLAUSES
from scheduler.console.messages import code_of, said, said_finding, said_of_line
from scheduler.console.messages_zh import FIELDS, MESSAGES
from scheduler.core.timer import Environment
from scheduler.doctor import machine, store_checks
from scheduler.errors import TimerError
from scheduler.formats import timer_lists
from scheduler.formats.pause_text import pause_text
from scheduler.store.pauses import scope_text

#: The modules whose texts are in findings of the page.
_OF_FINDINGS = {machine.__name__, install.__name__, store_checks.__name__, pause_text.__module__, scope_text.__module__}
_CRON = '"function":"f","cron":"0 0 8 * * ?"'
#: Lists of timers with each fault that one may have.
LISTS = [
    "",
    "name,function,cron\na,f,0 75 25 * * MON\n,f,0 0 8 * * ?\n"
    "b,,0 0 8 * * ?\na,f,0 0 8 * * ?\nc,f,0 0 8 * * ?,x,y\nd,f,\n",
    "name,nonsense\na,b",
    "name,expressions\na,b",
    "name,name\na,b",
    "name;function;cron;limit;enabled;tags;params;tz;retries;environment;misfire\n"
    "a;f;0 0 8 * * ?;x;q;q;[1];X/Y;x;moon;x\n",
    "name|function\na|b",
    '[{"name":"a"',
    '{"name":"a"}{"name":"b"}',
    '{"a":1}',
    '[1,"x"]',
    '[{"name":1,"function":2,"cron":3}]',
    f'[{{"name":"a","name":"b",{_CRON},"params":{{"a":1,"a":2}}}}]',
    '[{"name":"a","function":"f","cron":"* * * * *","every":5}]',
    '[{"name":"a","function":"f","every":0},{"name":"b","function":"f","every":"x"}]',
    '[{"name":"c","function":"f","cron":"0 0 0 30 2 ?"}]',
    'name,function,cron\n"a,b\n',
    "[" * 100_000,
    f'[{{"name":"..",{_CRON},"limit":-1}},{{"name":" x",{_CRON},"tags":[1]}},{{"name":"{"y" * 300}",{_CRON}}}]',
    f'[{{"name":"e\u0301",{_CRON},"roll":"next","then":5,"ping_url":"x","starts_at":"zz","ends_at":5}}]',
    "\n".join(["name,function,cron"] + [f"a{number},f,bad" for number in range(30)]),
]
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


def _said_by(function: Callable[..., Any]) -> Iterator[str]:
    """The literal clauses of a function's texts of two words or more, without its docstring and SQL."""
    tree = ast.parse(inspect.getsource(function)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    docstring = tree.body[0].value if ast.get_docstring(tree) and isinstance(tree.body[0], ast.Expr) else None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node is not docstring:
            clauses = (clause.strip(" ;,:()") for clause in node.value.split("; "))
            yield from (text for text in clauses if " " in text and not re.match("[A-Z]{4,} ", text))


def test_every_finding_is_said_in_chinese() -> None:
    """Each clause that a check of the page may say is part of a row, and so is each name of a check."""
    checks = [
        machine.check_clock,
        machine.check_zone_databases,
        machine.check_versions,
        install.damage,
        scope_text,
        pause_text,
    ]
    checks += [value for value in vars(store_checks).values() if inspect.isfunction(value)]
    clauses = {clause for check in checks if check.__module__ in _OF_FINDINGS for clause in _said_by(check)}
    rows = [english for english, _ in CLAUSES]
    assert {clause for clause in clauses if not any(clause in row for row in rows)} - CHECKS.keys() == set()
    assert len(clauses) > 40


@pytest.mark.parametrize(("english", "chinese"), CLAUSES, ids=[row[0][:40] for row in CLAUSES])
def test_a_clause_says_every_value_it_has(english: str, chinese: str) -> None:
    """And is found by its own sentence, before shorter ones that fit too."""
    values = [f"<{number}>" for number in range(len(re.findall(r"\{\+?\}", english)))]
    assert said_finding("zh", english.replace("{+}", "{}").format(*values)) == chinese.format(*values)


def test_a_finding_is_said_clause_by_clause() -> None:
    """With names, paths and errors as they are; an unknown clause stays in English."""
    finding = "2 daemons: a (process 1, since noon); b; c (process 2, since noon), and 3 expired leases; all is well"
    assert said_finding("zh", finding) == (
        "2 个守护进程：a（进程 1，自 noon 起）；b；c（进程 2，自 noon 起），另有 3 个过期的租约；all is well"
    )
    assert said_finding("en", finding) == finding
    assert said_finding("zh", "a; b") == "a; b"
    assert said_finding("zh", "1 timer, 1 enabled; " + "x is open after " * 1_000).startswith(
        "1 个任务，1 个已启用；x is"
    )


@pytest.mark.parametrize("text", LISTS, ids=[text[:30] for text in LISTS])
def test_faults_of_a_list_are_said_in_chinese(text: str) -> None:
    """Each with its line and column; the values stay as they were typed."""
    with pytest.raises(TimerError) as caught:
        _ = timer_lists.read(text, environment=Environment.PRODUCTION, tz="UTC", limit_s=15).timers
    for fault in str(caught.value).splitlines():
        shown = said_of_line("zh", fault)
        what = shown.partition("：")[2] if shown.startswith("第") else shown
        assert re.search("[\u4e00-\u9fff]", what), fault
        assert said_of_line("en", fault) == fault


def test_every_field_has_a_name() -> None:
    """As messages name it."""
    assert len(FIELDS) == 7
