"""Timer, the named trigger of a function, and what triggers there are: Cron, Every, and one of them shifted by jitter.

Values only; no clock, no store.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from ..errors import TimerError
from .limits import FUNCTION_LIMIT_S
from .triggers import Cron, Every, Shifted, offset_s, shifted

#: The specification allows five timers in each environment; a setting, 0 = no limit.
DEFAULT_QUOTA = 5
MAX_NAME_LENGTH = 200
MAX_PARAMS_BYTES = 65_536
MAX_LIMIT_S = 86_400.0
MAX_JITTER_S = 86_400
MAX_RETRIES = 100
MAX_BACKOFF_S = 86_400.0

Choice = TypeVar("Choice", bound=StrEnum)


class Environment(StrEnum):
    """Which deployment of the functions a timer calls."""

    PRODUCTION = "production"
    STAGE = "stage"


class MisfirePolicy(StrEnum):
    """What becomes of fire times whose moment passed before they could run."""

    FIRE_ONCE = "fire_once"
    FIRE_ALL = "fire_all"
    SKIP = "skip"


class OverlapPolicy(StrEnum):
    """What becomes of a fire time while the last run of its timer still goes on."""

    SKIP = "skip"
    ALLOW = "allow"
    QUEUE_ONE = "queue_one"


class Delivery(StrEnum):
    """Whether a run that was abandoned is run again."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A named trigger of a function in an environment, with everything that decides how its runs go.

    `params` is a JSON object of at most 64 KiB, the function's keyword arguments. `limit_s` is the time limit of a
    run in seconds. `breaker_threshold` is the number of consecutive failures that opens the breaker, 0 = never.
    With `jitter_s`, all fire times are later by a whole number of seconds from 0 to `jitter_s` - 1, which follows from
    environment and name; so timers with the same trigger need not all fire at once.
    `retries` is how often a failed run is tried again before the next fire time: after `retry_backoff_s` seconds, then
    after twice as many, and so on.
    A timer is created disabled (the specification's rule); `enabled` is the store's word on it.

    Raises TimerError, with `field` saying which attribute is wrong.
    """

    name: str
    function: str
    trigger: Cron | Every
    params: Mapping[str, Any] = field(default_factory=dict)
    environment: Environment = Environment.PRODUCTION
    enabled: bool = False
    limit_s: float = FUNCTION_LIMIT_S
    misfire: MisfirePolicy = MisfirePolicy.FIRE_ONCE
    overlap: OverlapPolicy = OverlapPolicy.SKIP
    delivery: Delivery = Delivery.AT_MOST_ONCE
    breaker_threshold: int = 5
    jitter_s: int = 0
    retries: int = 0
    retry_backoff_s: float = 10.0

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_name("function", self.function)
        if not isinstance(self.trigger, Cron | Every):
            raise TimerError(
                f"a trigger is Cron('0 0 8 ? * MON') or Every(60), not {self.trigger!r}",
                field="trigger",
            )
        params_text(self.params)
        if not isinstance(self.enabled, bool):
            raise TimerError(f"enabled is True or False, not {self.enabled!r}", field="enabled")
        _check_limit(self.limit_s)
        for name, choices in _CHOICES.items():
            object.__setattr__(self, name, _choice(name, getattr(self, name), choices))
        if not 0 <= self.breaker_threshold <= 1_000_000:
            raise TimerError(
                f"a breaker opens after 1 to 1,000,000 failures, or 0 = never; not {self.breaker_threshold}",
                field="breaker_threshold",
            )
        _check_jitter(self.jitter_s, self.trigger)
        _check_retries(self.retries, self.retry_backoff_s)

    @property
    def schedule(self) -> Cron | Every | Shifted:
        """What yields the fire times: the trigger, shifted by the timer's jitter."""
        return shifted(self.trigger, offset_s(self.environment, self.name, self.jitter_s))

    def anchored(self, now: datetime) -> Timer:
        """The timer with its interval counted from `now`; one on a cron expression stays as it is."""
        if isinstance(self.trigger, Cron):
            return self
        return replace(self, trigger=replace(self.trigger, anchor=now.replace(microsecond=0)))


_CHOICES: dict[str, type[StrEnum]] = {
    "environment": Environment,
    "misfire": MisfirePolicy,
    "overlap": OverlapPolicy,
    "delivery": Delivery,
}


def check_name(what: str, name: object) -> None:
    """Refuse a name that is empty, too long, or holds characters that would spoil a terminal or a log."""
    if not isinstance(name, str) or not name.strip():
        raise TimerError(f"a timer needs a {what}, a text that is not blank; got {name!r}", field=what)
    if len(name) > MAX_NAME_LENGTH:
        raise TimerError(f"{what} has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed", field=what)
    for column, character in enumerate(name, start=1):
        # Cc: control, Cf: format (bidirectional overrides), Cs: lone surrogates, Zl/Zp: line separators
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise TimerError(
                f"{what} {name!r} has the control character U+{ord(character):04X} at column {column}", field=what
            )


def check_new(timer: Timer) -> None:
    """Refuse blanks at the ends of names, which nobody sees. Of new timers only: a store may hold older ones."""
    for what, name in (("name", timer.name), ("function", timer.function)):
        if name != name.strip():
            raise TimerError(f"{what} {name!r} has a blank at an end; leave it out: {name.strip()!r}", field=what)


def params_text(params: Mapping[str, Any]) -> str:
    """The parameters as JSON text; TimerError where they are no JSON object or take more than 64 KiB."""
    if not isinstance(params, Mapping):
        raise TimerError(f"parameters are a JSON object, not {type(params).__name__}", field="params")
    for key in params:
        if not isinstance(key, str):
            raise TimerError(f"the names of parameters are texts, not {key!r}", field="params")
    try:
        text = json.dumps(dict(params), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TimerError(f"parameters are no JSON object: {error}", field="params") from error
    if size > MAX_PARAMS_BYTES:
        raise TimerError(
            f"parameters take {size} bytes, at most {MAX_PARAMS_BYTES} are allowed; store them and pass a reference",
            field="params",
        )
    return text


def _check_limit(limit_s: float) -> None:
    if isinstance(limit_s, bool) or not isinstance(limit_s, int | float) or not 0 < limit_s <= MAX_LIMIT_S:
        raise TimerError(
            f"a time limit is more than 0 s and at most {MAX_LIMIT_S:.0f} s, not {_plain(limit_s)}", field="limit_s"
        )


def _check_jitter(jitter_s: int, trigger: Cron | Every) -> None:
    if isinstance(jitter_s, bool) or not isinstance(jitter_s, int) or not 0 <= jitter_s <= MAX_JITTER_S:
        raise TimerError(
            f"a jitter is a whole number of seconds from 0 to {MAX_JITTER_S}, not {jitter_s!r}", field="jitter_s"
        )
    if jitter_s and (gap := trigger.gap) is not None and jitter_s > gap.total_seconds():
        raise TimerError(
            f"a jitter of {jitter_s} s is longer than the shortest time between two fires, {gap.total_seconds():.0f} s",
            field="jitter_s",
        )


def _check_retries(retries: int, backoff_s: float) -> None:
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MAX_RETRIES:
        raise TimerError(f"a run is tried again 0 to {MAX_RETRIES} times, not {retries!r}", field="retries")
    if isinstance(backoff_s, bool) or not isinstance(backoff_s, int | float) or not 0 < backoff_s <= MAX_BACKOFF_S:
        raise TimerError(
            f"a back-off is more than 0 s and at most {MAX_BACKOFF_S:.0f} s, not {_plain(backoff_s)}",
            field="retry_backoff_s",
        )


def _plain(number: object) -> str:
    """A number as it was given, 0 and not 0.0; anything else as it is in Python."""
    return f"{number:g}" if isinstance(number, float) else repr(number)


def _choice(name: str, value: str, choices: type[Choice]) -> Choice:
    try:
        return choices(value)
    except ValueError:
        raise TimerError(f"{name} is one of {', '.join(choices)}; not {value!r}", field=name) from None
