"""Warnings of a stored timer: a function that is not known, attributes without effect, pings that are not sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..core.timer import Timer
from ..core.without_effect import without_effect
from .current import console
from .reader import reader
from .unknown_functions import unknown_functions


class TimerWarning(NamedTuple):
    """What is allowed, and probably not meant; `field` is the attribute that it is about."""

    field: str
    message: str


def timer_warnings(timer: Timer) -> list[TimerWarning]:
    """The warnings of a timer, for the reader of this request."""
    unknown = [TimerWarning("function", str(function)) for function in unknown_functions(console().store, [timer])]
    return [*unknown, *setting_warnings(timer)]


def setting_warnings(timer: Timer) -> list[TimerWarning]:
    """Those that the timer alone shows."""
    return [*(TimerWarning(each.field, str(each)) for each in without_effect(timer)), *_of_ping(timer)]


def _of_ping(timer: Timer) -> Iterator[TimerWarning]:
    if timer.ping_url is None or console().settings.ping_private or not reader().sees("params"):
        return
    from ..doctor.alert_checks import unsent_ping_of  # slow to import, and few timers need it

    if reason := unsent_ping_of(timer):
        yield TimerWarning("ping_url", reason)
