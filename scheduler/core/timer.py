"""Timer, the named trigger of a function, and what triggers there are: Cron, Every, and one of them shifted by jitter.

Values only; no clock, no store.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from quartzcron import CronError, CronExpression

from ..errors import TimerError
from .limits import FUNCTION_LIMIT_S
from .timestamps import EPOCH

#: The specification's runtime is UTC+8, and so is the time zone of a timer that names none.
DEFAULT_TZ = "Asia/Shanghai"
#: The specification allows five timers in each environment; a setting, 0 = no limit.
DEFAULT_QUOTA = 5
MAX_NAME_LENGTH = 200
MAX_PARAMS_BYTES = 65_536
MAX_LIMIT_S = 86_400.0
MAX_INTERVAL_S = 366 * 86_400
MAX_JITTER_S = 86_400
MAX_RETRIES = 100
MAX_BACKOFF_S = 86_400.0
_MICROSECOND = timedelta(microseconds=1)

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


class Trigger(Protocol):
    """What yields fire times."""

    def next_fire(self, after: datetime) -> datetime | None:
        """The first fire time strictly after an instant, or None."""
        ...

    def prev_fire(self, before: datetime) -> datetime | None:
        """The last fire time strictly before an instant, or None."""
        ...

    def count(self, start: datetime, end: datetime) -> int:
        """How many fire times lie in [start, end)."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """Fire when a Quartz expression says so, in a time zone.

    >>> from datetime import UTC
    >>> Cron("0 0 8 ? * MON").next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-05T00:00:00+00:00'
    """

    expression: str
    tz: str = DEFAULT_TZ
    dst: str = "vixie"

    def __post_init__(self) -> None:
        try:
            parsed = _parsed(self.expression, self.tz, self.dst)
        except CronError as error:
            _check_options(self.tz, self.dst)
            raise TimerError(str(error), field="expression") from error
        if parsed.never_fires:
            raise TimerError(f"the expression {self.expression!r} never fires", field="expression")

    def next_fire(self, after: datetime) -> datetime | None:
        return _parsed(self.expression, self.tz, self.dst).next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return _parsed(self.expression, self.tz, self.dst).prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        # The calculator counts what lies in (start, end].
        return _parsed(self.expression, self.tz, self.dst).count(start - _MICROSECOND, end - _MICROSECOND)

    @property
    def gap(self) -> timedelta | None:
        """The shortest time from one fire to the next by wall clock, None where there are fewer than two."""
        return _min_gap(self.expression, self.tz, self.dst)

    def __str__(self) -> str:
        return f"{self.expression} ({self.tz})"


@dataclass(frozen=True, slots=True)
class Every:
    """Fire every `seconds` seconds, counted from `anchor` (which is itself no fire time); 1 s to 366 days.

    >>> from datetime import UTC
    >>> Every(90, anchor=datetime(2026, 1, 1, tzinfo=UTC)).next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-01T00:01:30+00:00'
    """

    seconds: int
    anchor: datetime = EPOCH

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int):
            raise TimerError(f"an interval is a whole number of seconds, not {self.seconds!r}", field="every")
        if not 1 <= self.seconds <= MAX_INTERVAL_S:
            raise TimerError(
                f"an interval of {self.seconds} s is out of range: 1 to {MAX_INTERVAL_S} (366 days)", field="every"
            )

    def next_fire(self, after: datetime) -> datetime | None:
        return self._at(self._rank(after) + 1)

    def prev_fire(self, before: datetime) -> datetime | None:
        rank = self._rank(before - _MICROSECOND)
        return self._at(rank) if rank >= 1 else None

    def count(self, start: datetime, end: datetime) -> int:
        return max(0, self._rank(end - _MICROSECOND) - self._rank(start - _MICROSECOND))

    @property
    def gap(self) -> timedelta:
        """The time from one fire to the next."""
        return timedelta(seconds=self.seconds)

    def _rank(self, instant: datetime) -> int:
        """The number of fire times up to and including an instant."""
        return max(0, (instant - self.anchor) // timedelta(seconds=self.seconds))

    def _at(self, rank: int) -> datetime | None:
        try:
            return self.anchor + timedelta(seconds=self.seconds * rank)
        except OverflowError:
            return None

    def __str__(self) -> str:
        return f"every {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Shifted:
    """Fire when another trigger does, by always the same time later.

    >>> from datetime import UTC
    >>> monday = Shifted(Cron("0 0 8 ? * MON"), timedelta(seconds=17))
    >>> monday.next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-05T00:00:17+00:00'
    """

    trigger: Cron | Every
    offset: timedelta

    def next_fire(self, after: datetime) -> datetime | None:
        return self._later(self.trigger.next_fire(after - self.offset))

    def prev_fire(self, before: datetime) -> datetime | None:
        return self._later(self.trigger.prev_fire(before - self.offset))

    def count(self, start: datetime, end: datetime) -> int:
        return self.trigger.count(start - self.offset, end - self.offset)

    def _later(self, fire: datetime | None) -> datetime | None:
        return None if fire is None else fire + self.offset

    def __str__(self) -> str:
        return f"{self.trigger} + {self.offset.total_seconds():g} s"


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


def offset_s(environment: str, name: str, jitter_s: int) -> int:
    """By how much the jitter of a timer shifts its trigger: the same wherever it is computed, and by what Python."""
    if jitter_s <= 1:
        return 0
    digest = sha256(f"{environment}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % jitter_s


def shifted(trigger: Cron | Every, seconds: int) -> Cron | Every | Shifted:
    """A trigger that fires so many seconds later; 0 leaves it as it is."""
    return Shifted(trigger, timedelta(seconds=seconds)) if seconds else trigger


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


def _check_options(tz: str, dst: str) -> None:
    """Refuse a zone or a policy with which a harmless expression fails, too."""
    for name, options in (("tz", {"tz": tz}), ("dst", {"dst": dst})):
        try:
            CronExpression("0 0 0 * * ?", **options)
        except CronError as error:
            raise TimerError(str(error), field=name) from error


@lru_cache(maxsize=4096)
def _parsed(expression: str, tz: str, dst: str) -> CronExpression:
    return CronExpression(expression, tz=tz, dst=dst)


@lru_cache(maxsize=4096)
def _min_gap(expression: str, tz: str, dst: str) -> timedelta | None:
    return _parsed(expression, tz, dst).min_gap
