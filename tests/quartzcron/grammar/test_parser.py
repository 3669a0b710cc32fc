"""The meaning of valid texts, and the errors of invalid ones."""

from __future__ import annotations

import pytest
from hypothesis import given

from quartzcron import CronExpression, CronSyntaxError
from tests.strategies import expressions, invalid_texts


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0 0 8 ? * MON", "0 0 8 ? * 2 *"),
        ("0 0 8 ? * MON-FRI/2", "0 0 8 ? * 2-6/2"),
        ("0 0 8 ? * MON/2", "0 0 8 ? * 2,4,6"),
        ("0 0 8 1 JAN/3 ?", "0 0 8 1 1,4,7,10 ?"),
        ("0 0 8 ? * MONDAY-friday", "0 0 8 ? * 2-6"),
        ("0 0 8 1 February ?", "0 0 8 1 feb ?"),
        ("0 0 8 ? * L", "0 0 8 ? * SAT"),
        ("0 0 8 ? * FRIL", "0 0 8 ? * 6l"),
        ("0 0 8 ? * fri#3", "0 0 8 ? * 6#3"),
        ("0 0 8 ? * FRI-MON", "0 0 8 ? * 6,7,1,2"),
        ("0 0 8 ? NOV-FEB 2", "0 0 8 ? 11,12,1,2 2"),
        ("0 0 8 28-3 * ?", "0 0 8 28,29,30,31,1,2,3 * ?"),
        ("0 0 22-2 * * ?", "0 0 22-23,0-2 * * ?"),
        ("0 0 22-3/2 * * ?", "0 0 22/2,0,2 * * ?"),
        ("0 /15 8 * * ?", "0 */15 8 * * ?"),
        ("0 5/20 8 * * ?", "0 5-59/20 8 * * ?"),
        ("0 0 8 * * ?", "00 000 08 ? * *"),
        ("0 0 8 L-0 * ?", "0 0 8 L * ?"),
        ("0 0 8 1,15,L,L-2,5W * ?", "0 0 8 5W,L-2,L,15,1 * ?"),
        ("0 0 8 1 1 ? 2026/30", "0 0 8 1 1 ? 2026,2056,2086"),
        (" \t0  0\n8\u3000? * MON ", "0 0 8 ? * MON"),
        ("0 0 8 29 2 ?", "0 0 8 29 2 ? 1972/4"),
        ("0 0 8 30 2 ?", "0 0 9 31 4 ?"),
    ],
)
def test_two_spellings_of_one_meaning_are_equal(text: str, same: str) -> None:
    """Equality and hash depend on the fires, not on the text."""
    assert CronExpression(text) == CronExpression(same)
    assert hash(CronExpression(text)) == hash(CronExpression(same))


@pytest.mark.parametrize(
    ("text", "field", "column", "part"),
    [
        ("60 0 8 * * ?", "seconds", 1, "60"),
        ("0 75 8 * * ?", "minutes", 3, "75"),
        ("0 0 24 * * ?", "hours", 5, "24"),
        ("0 0 8 32 * ?", "days of the month", 7, "32"),
        ("0 0 8 0 * ?", "days of the month", 7, "0"),
        ("0 0 8 1 13 ?", "months", 9, "13"),
        ("0 0 8 ? * 8", "days of the week", 11, "8"),
        ("0 0 8 ? * 0", "days of the week", 11, "0"),
        ("0 0 8 1 1 ? 1969", "years", 13, "1969"),
        ("0 0 8 1 1 ? 2100", "years", 13, "2100"),
        ("0 0 8 1 1 ? 2030-2020", "years", 13, "2030-2020"),
        ("0 5,,6 8 * * ?", "minutes", 5, ""),
        ("0 5, 8 * * ?", "minutes", 5, ""),
        ("0 ,5 8 * * ?", "minutes", 3, ""),
        ("0 1,2,61 8 * * ?", "minutes", 7, "61"),
        ("0 5-10-15 8 * * ?", "minutes", 5, "10-15"),
        ("0 5-10/2/3 8 * * ?", "minutes", 8, "2/3"),
        ("0 5- 8 * * ?", "minutes", 5, ""),
        ("0 0/0 8 * * ?", "minutes", 5, "0"),
        ("0 */60 8 * * ?", "minutes", 5, "60"),
        ("0 0 0/24 * * ?", "hours", 7, "24"),
        ("0 0 8 1/32 * ?", "days of the month", 9, "32"),
        ("0 0 8 1 1/13 ?", "months", 11, "13"),
        ("0 0 8 ? * 1/8", "days of the week", 13, "8"),
        ("0 5x 8 * * ?", "minutes", 3, "5x"),
        ("0 *5 8 * * ?", "minutes", 3, "*5"),
        ("0 L 8 * * ?", "minutes", 3, "L"),
        ("0 0 8 1 L ?", "months", 9, "L"),
        ("0 0 8 1-5W * ?", "days of the month", 7, "1-5W"),
        ("0 0 8 15W/2 * ?", "days of the month", 7, "15W/2"),
        ("0 0 8 1,15WL * ?", "days of the month", 9, "15WL"),
        ("0 0 8 0W * ?", "days of the month", 7, "0W"),
        ("0 0 8 32W * ?", "days of the month", 7, "32W"),
        ("0 0 8 W * ?", "days of the month", 7, "W"),
        ("0 0 8 WL * ?", "days of the month", 7, "WL"),
        ("0 0 8 LW-3 * ?", "days of the month", 7, "LW-3"),
        ("0 0 8 L3 * ?", "days of the month", 7, "L3"),
        ("0 0 8 L-31 * ?", "days of the month", 7, "L-31"),
        ("0 0 8 5C * ?", "days of the month", 7, "5C"),
        ("0 0 8 ?? * MON", "days of the month", 7, "??"),
        ("0 0 8 1,? * MON", "days of the month", 9, "?"),
        ("0 0 8 ? * 1,2L", "days of the week", 13, "2L"),
        ("0 0 8 ? * MON-FRIL", "days of the week", 11, "MON-FRIL"),
        ("0 0 8 ? * 6#3,2", "days of the week", 11, "6#3,2"),
        ("0 0 8 ? * 8#3", "days of the week", 11, "8"),
        ("0 0 8 ? * 6#6", "days of the week", 11, "6#6"),
        ("0 0 8 ? * 2L#1", "days of the week", 11, "2L"),
        ("0 0 8 ? * L-3", "days of the week", 11, "L-3"),
        ("0 0 8 ? * LW", "days of the week", 11, "LW"),
        ("0 0 8 ? * MON-6", "days of the week", 11, "MON-6"),
        ("0 0 8 1 JAN-3 ?", "months", 9, "JAN-3"),
        ("0 0 8 ? * FRIDAYS", "days of the week", 11, "FRIDAYS"),
        ("0 0 8 ? * MONTUE", "days of the week", 11, "MONTUE"),
        ("0 0 8 ? * \u0661", "days of the week", 11, "\u0661"),
        ("0 0 8 ? * MON\u017f", "days of the week", 14, "\u017f"),
        ("0 0 8 * * *", "days of the week", 11, "*"),
        ("0 0 8 ? * ?", "days of the month", 7, "?"),
        ("0 8 * * 1", "seconds", 1, ""),
        ("0 0 8 1 * ? * *", None, 15, "*"),
        ("0 0 8", None, 6, ""),
        ("", None, 1, ""),
    ],
)
def test_an_error_names_field_column_and_text(text: str, field: str | None, column: int, part: str) -> None:
    """Columns count from 1 in the whole expression."""
    with pytest.raises(CronSyntaxError) as caught:
        CronExpression(text)
    error = caught.value
    assert (error.field, error.column, error.text) == (field, column, part)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("0 0 8 ？ * MON", "0 0 8 ? * MON"),
        ("0 0 8，１７ * * ?", "0 0 8,17 * * ?"),
        ("0 0 8 ? * 0", "0 0 8 ? * SUN"),
        ("0 0 8 ? * 0,6", "0 0 8 ? * SUN,SAT"),
        ("0 8 * * 1-5", "0 0 8 ? * MON-FRI"),
        ("*/5 * * * *", "0 */5 * * * ?"),
        ("30 9 1 * *", "0 30 9 1 * ?"),
        ("0 0 * * 0,6", "0 0 0 ? * SUN,SAT"),
        ("0 0 * * 0-7", "0 0 0 ? * *"),
        ("0 0 * * 5-7", "0 0 0 ? * FRI-SUN"),
        ("0 7 * * ?", "0 0 7 * * ?"),
        ("0 0 8 * * *", "0 0 8 * * ?"),
        ("0 0 8 * * MON-FRI", "0 0 8 ? * MON-FRI"),
        ("0 0 8 1 * *", "0 0 8 1 * ?"),
        ("0 0 8 ? * ?", "0 0 8 * * ?"),
        ("0 8 ? * MON-FRI *", "0 0 8 ? * MON-FRI *"),
        ("cron(15 10 ? * 6L 2026-2030)", "0 15 10 ? * 6L 2026-2030"),
        ("@daily", "0 0 0 * * ?"),
        ("@Weekly", "0 0 0 ? * SUN"),
        ('"0 0 8 ? * MON"', "0 0 8 ? * MON"),
        ("`0 8 * * 1-5`", "0 0 8 ? * MON-FRI"),
        ("TZ=Asia/Shanghai 0 0 8 * * ?", "0 0 8 * * ?"),
        ("CRON_TZ=UTC 0 8 * * *", "0 0 8 * * ?"),
        ("TZ=UTC", None),
        ('"', None),
        ("0 8 1 * 1", None),
        ("0 0 8 * * 1-5", None),
        ("0 75 8 * * ?", None),
    ],
)
def test_a_neighbouring_dialect_is_recognised_and_the_fix_offered(text: str, fix: str | None) -> None:
    """The fix is a whole expression that parses, or None rather than a guess."""
    with pytest.raises(CronSyntaxError) as caught:
        CronExpression(text)
    assert caught.value.fix == fix
    assert fix is None or CronExpression.is_valid(fix)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cron(0 8 ? * MON-FRI *)", "EventBridge"),
        ("rate(5 minutes)", "EventBridge"),
        ("0 8 ? * MON-FRI *", "seconds field missing"),
        ("@daily", "macro of crontab"),
        ("0 8 * * 1", "seconds field missing, as in a crontab line"),
        ('"0 0 8 ? * MON"', "quotes are not part"),
        ("TZ=Asia/Shanghai 0 0 8 * * ?", "give it as tz='Asia/Shanghai'"),
        ("0 H 8 * * ?", "CronExpression.hashed"),
    ],
)
def test_a_neighbouring_dialect_is_named_in_one_problem(text: str, message: str) -> None:
    """Rather than everything that is wrong with each of its fields."""
    with pytest.raises(CronSyntaxError, match=message) as caught:
        CronExpression(text)
    assert len(caught.value.problems) == 1


def test_spring_numbers_of_days_are_named_in_the_hint() -> None:
    """1-5 is Monday to Friday in Spring and Sunday to Thursday in Quartz: the hint says so."""
    with pytest.raises(CronSyntaxError, match="if it was Monday, as in Spring, write MON-FRI"):
        CronExpression("0 0 8 * * 1-5")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("*/90 25 * * 1", [1, 3, 6, 9]),
        ("0 10 1-7 * 1", [1, 12]),
        ("cron(*/60 25 * * ? *)", [1, 8, 11]),
        ("cron(7 20 * * 1-7 *)", [1, 11]),
        ("0 8 * * 1-5", [1]),  # the fix says the rest
        ("run it once a day", [1]),
        ("H 25 * * *", [1]),
    ],
)
def test_the_fields_of_another_dialect_are_checked_too(text: str, columns: list[int]) -> None:
    """Unless there is a fix, or most of them are no fields."""
    with pytest.raises(CronSyntaxError) as caught:
        CronExpression(text)
    assert [problem.column for problem in caught.value.problems] == columns


def test_all_problems_are_reported_at_once() -> None:
    """One error carries every problem, in order, and draws a caret under each."""
    with pytest.raises(CronSyntaxError) as caught:
        CronExpression("0 75 25 L3 * ?")
    assert [problem.column for problem in caught.value.problems] == [3, 6, 9]
    assert caught.value.drawing == "  0 75 25 L3 * ?\n    ^^ ^^ ^^"


@pytest.mark.parametrize("text", [None, 5, b"0 0 8 * * ?", ["0"], 1.5])
def test_what_is_no_text_is_a_type_error(text: object) -> None:
    """A wrong type is not a wrong expression."""
    with pytest.raises(TypeError):
        CronExpression(text)  # type: ignore[arg-type]
    assert not CronExpression.is_valid(text)


def refusal(text: str) -> CronSyntaxError | None:
    try:
        CronExpression(text)
    except CronSyntaxError as error:
        return error
    return None


@given(expressions())
def test_the_whole_grammar_parses(text: str) -> None:
    """Whatever the grammar generates is an expression."""
    assert CronExpression.is_valid(text)


@given(invalid_texts())
def test_any_text_is_an_expression_or_a_cron_error(text: str) -> None:
    """Nothing but CronError, whose columns lie within the text, and whose fix parses."""
    error = refusal(text)
    if error is None:
        return
    for problem in error.problems:
        start = problem.column - 1
        assert 0 <= start <= len(text)
        assert text[start : start + len(problem.text)] == problem.text
    assert error.fix is None or CronExpression.is_valid(error.fix)
    assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["9 */1 * * -", "0 8 * * ,", "0 8 * * /2", "0 8 * * 1-", "0 8 * * -5", "0 8 * * -/2"])
def test_a_broken_crontab_line_gets_no_fix(text: str) -> None:
    """Found by fuzzing: with an invalid day of the week there is no expression to propose."""
    error = refusal(text)
    assert error is not None
    assert error.fix is None


@pytest.mark.parametrize(
    "text",
    [
        "0," * 49_999 + "0 0 8 * * ?",
        "0" * 99_000 + " 0 8 * * ?",
        "9" * 100_000,
        "0 0 8 L-" + "1" * 90_000 + " * ?",
        "0 0 8 ? * " + "MON," * 20_000,
        "0 0 8 ? * " + "6#" * 40_000,
        "0 0/" + "1" * 90_000 + " 8 * * ?",
        "0 0 8 " + "L," * 45_000 + " * ?",
        "0 0 8 " + "W," * 45_000 + " * ?",
        "* " * 50_000,
        " " * 100_000,
        "," * 100_000,
        "-" * 100_000,
        "0 8 * * " + "1," * 45_000 + "1",
        "\U0001f600" * 100_000,
        "(" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_text_is_answered_at_once(text: str) -> None:
    """100,000 characters take a fraction of a second, whatever they are."""
    error = refusal(text)
    assert error is None or len(error.drawing) < 400
    assert error is None or len(str(error)) < 1000
