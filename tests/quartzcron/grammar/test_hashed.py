"""H: stable, unbiased, spread, and refused where it is invalid."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from quartzcron import CronExpression, CronSyntaxError
from quartzcron.grammar.hashed import hashed_text

#: The values that H picked in its first version; they must never change.
PICKED = {
    ("H H H H H ?", "a"): "16 6 22 13 6 ?",
    ("0 H H(0-7) ? * MON-FRI", "backup"): "0 55 1 ? * MON-FRI",
    ("H/15 H(0-29)/10 * ? * H", "报表"): "10/15 4-29/10 * ? * 3",
}

NIGHT, DAY_AFTER = datetime(2026, 1, 1), datetime(2026, 1, 3)


@pytest.mark.parametrize(("text", "key"), PICKED)
def test_the_pick_never_changes(text: str, key: str) -> None:
    """On no machine and in no version."""
    assert hashed_text(text, key) == PICKED[text, key]


def test_every_value_is_as_likely_as_the_others() -> None:
    """60,000 keys over 60 minutes: no minute is off by more than five standard deviations."""
    counts = Counter(hashed_text("0 H * * * ?", f"timer-{n}").split()[1] for n in range(60_000))
    assert len(counts) == 60
    assert max(abs(count - 1000) for count in counts.values()) < 5 * 1000**0.5


def test_fields_are_picked_apart() -> None:
    """Minutes and hours are independent: of 2,000 keys, all 24 hours occur at one minute or another, evenly."""
    pairs = {tuple(hashed_text("0 H H * * ?", str(n)).split()[1:3]) for n in range(2_000)}
    assert len(pairs) > 1_000


@pytest.mark.parametrize("n", range(50))
def test_picks_stay_within_their_bounds(n: int) -> None:
    """And every text parses; H in the day of month leaves no month out."""
    text = hashed_text("H H(10-20) H(0-7) H H ?", f"k{n}")
    _, minutes, hours, day, _, _ = text.split()
    assert 10 <= int(minutes) <= 20
    assert int(hours) <= 7
    assert int(day) <= 28
    assert CronExpression(text).never_fires is False
    assert CronExpression.hashed("0 0 0 ? * H(MON-FRI)", key=f"k{n}").canonical.split()[5] not in ("SAT", "SUN")
    assert CronExpression.hashed("0 H/20 * * * ?", key=f"k{n}")._pattern.times.count == 72


def test_names_that_begin_with_no_h_are_left_alone() -> None:
    """THU contains an H, which is not replaced; zone and policy are passed on."""
    hashed = CronExpression.hashed("0 0 8 ? MAR thu", key="x", tz="Asia/Shanghai", dst="quartz")
    assert hashed == CronExpression("0 0 8 ? 3 THU", tz="Asia/Shanghai", dst="quartz")
    assert CronExpression.hashed("0 5,h 8 * * ?", key="x") == CronExpression(hashed_text("0 5,H 8 * * ?", "x"))


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("0 H(0-99) * * * ?", 3, "99 is out of range"),
        ("0 0 0 H(25-5) * ?", 7, "runs backwards"),
        ("0 H/0 * * * ?", 3, "step 0 is out of range"),
        ("0 H/99 * * * ?", 3, "step 99 is out of range"),
        ("0 5,HX * * * ?", 5, "HX is not valid"),
        ("0 H( * * * ?", 3, "is not valid"),
        ("0 0 0 * * ? H", 13, "is not valid"),
    ],
)
def test_an_h_that_means_nothing_is_refused(text: str, column: int, message: str) -> None:
    """With its field and column."""
    with pytest.raises(CronSyntaxError, match=message) as caught:
        CronExpression.hashed(text, key="x")
    assert caught.value.column == column


def test_a_key_is_a_str() -> None:
    """An int would be hashed by its digits in one version and its bytes in another."""
    with pytest.raises(TypeError, match="a key must be a str"):
        CronExpression.hashed("0 H * * * ?", key=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "place", "window"),
    [
        ("0 H H(22-4) * * ?", 2, {"22", "23", "0", "1", "2", "3", "4"}),
        ("0 H(50-9) 8 * * ?", 1, {*map(str, range(50, 60)), *map(str, range(10))}),
        ("0 0 8 1 H(NOV-FEB) ?", 4, {"11", "12", "1", "2"}),
        ("0 0 8 ? * H(FRI-MON)", 5, {"6", "7", "1", "2"}),
    ],
)
def test_a_range_of_h_wraps_where_a_plain_one_does(text: str, place: int, window: set[str]) -> None:
    """Each of its values is picked by some key, and no other."""
    picked = {str(CronExpression.hashed(text, key=f"job {n}")).split()[place] for n in range(400)}
    assert picked == window


def test_a_wrapped_range_of_h_with_a_step_stays_within_it() -> None:
    """Every second hour of the night, from one of the first two on."""
    for n in range(20):
        hours = {
            fire.hour for fire in CronExpression.hashed("0 0 H(22-4)/2 * * ?", key=f"{n}").between(NIGHT, DAY_AFTER)
        }
        assert hours in ({22, 0, 2, 4}, {23, 1, 3})


@pytest.mark.parametrize("text", ["H H * * *", "H 8 * * 1"])
def test_jenkins_fields_lack_the_seconds(text: str) -> None:
    """The error has the text as it was written, and no fix with a value that H has in another place."""
    with pytest.raises(CronSyntaxError, match="seconds field missing, as in Jenkins; write it as in 0 H H") as refused:
        CronExpression.hashed(text, key="k")
    assert (refused.value.expression, refused.value.fix) == (text, None)
