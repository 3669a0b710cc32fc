"""Attributes that do nothing beside the others of their timer are found, and those that do something are not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every
from scheduler.core.without_effect import without_effect


def _found(**values: Any) -> list[str]:
    return [str(each) for each in without_effect(Timer(name="t", function="f", **{"trigger": Every(60)} | values))]


@pytest.mark.parametrize(
    ("alone", "said", "beside"),
    [
        ({"max_concurrent": 2}, "max_concurrent has no effect: it goes with overlap = allow", {"overlap": "allow"}),
        (
            {"catch_up_s": 60.0, "misfire": "skip"},
            "catch_up_s has no effect: with misfire = skip",
            {"misfire": "fire_all"},
        ),
        ({"retry_backoff_s": 5}, "retry_backoff_s has no effect: retries is 0", {"retries": 1}),
        ({"then_on": "failed"}, "then_on has no effect: then names no timers", {"then": ["u"]}),
        ({"remove_when_finished": True}, "remove_when_finished has no effect: the timer is never", {"max_runs": 3}),
        (
            {"remove_when_finished": True},
            "remove_when_finished has no effect: the timer is never",
            {"ends_at": datetime(2030, 1, 1, tzinfo=UTC)},
        ),
        (
            {"remove_when_finished": True},
            "remove_when_finished has no effect: the timer is never",
            {"trigger": Cron("0 0 8 1 1 ? 2040", "UTC")},
        ),
    ],
)
def test_an_attribute_without_effect_is_found_with_its_reason(
    alone: dict[str, Any], said: str, beside: dict[str, Any]
) -> None:
    """And not beside the attribute that it needs."""
    (found,) = _found(**alone)
    assert found.startswith(said)
    assert _found(**alone | beside) == []


def test_defaults_are_never_without_effect() -> None:
    """Nobody has set them."""
    assert _found() == []
    assert _found(misfire="skip", overlap="queue_one", retries=0) == []
