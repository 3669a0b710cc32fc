"""Timer, the named trigger of a function. A value only: no clock, no store.

timer_checks.py has the checks of the attributes, triggers.py the fire times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from quartzcron.calendars import WorkingDays

from ..errors import TimerError, shown
from .attributes import ATTRIBUTES, Delivery
from .calendars import RollConvention, check_calendar, on_working_days
from .chains import ThenOn, check_circle
from .deadlines import FUNCTION_LIMIT_S
from .environments import Environment
from .fire_times import FireTimes
from .jitter import offset_s, shifted
from .misfire import MisfirePolicy
from .overlap import OverlapPolicy
from .timer_checks import check_gap
from .timestamps import in_utc
from .triggers import Trigger
from .window import check_window, windowed
from .zone_names import zone

__all__ = ["Delivery", "Environment", "Timer"]

_NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
_CHECKS = tuple(attribute.check for attribute in ATTRIBUTES)
_VALUES = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A named trigger of a function in an environment, with everything that decides how its runs go.

    `params` is a JSON object of at most 64 KiB, the function's keyword arguments. `limit_s` is the time limit of a run
    in seconds. `misfire` decides which missed fire times run (`fire_once`, `fire_all`, `skip`), `overlap` what a fire
    does while the last run is in progress (`skip`, `allow`, `queue_one`, `queue_all`, `cancel_other`), and `delivery`
    whether a run that a crash interrupted is run again (`at_most_once`, `at_least_once`). `breaker_threshold` is the
    number of consecutive failures that opens the breaker, 0 = never. With `jitter_s`, all fire times are later by a
    whole number of seconds from 0 to `jitter_s` - 1, which follows from environment and name; so timers with the same
    trigger need not all fire at once. `retries` is how often a failed run is tried again before the next fire time:
    after `retry_backoff_s` seconds, then after twice as many, and so on. It fires in [`starts_at`, `ends_at`) only; a
    bound without an offset is a wall time of the trigger's zone. A timer that will not fire again is finished; so is
    one after `max_runs` scheduled runs, 0 = never. With overlap `allow`, at most `max_concurrent` run at a time, 0 =
    any number. A fire time up to `grace_s` late is on time; a missed one that is more than `catch_up_s` late does not
    run, 0 = no limit. With `pause_on_failure`, a scheduled run that has failed, after its retries, disables the timer.
    Each run reports its begin and its end to `ping_url`, as Healthchecks expects it.
    `description` is free text, `tags` are up to 20 words. With `calendar`, the name of a calendar of working days in
    the store, `roll` decides about its fires on days off: they are left out (`skip`), or move to a working day
    (`following`, `preceding`, and `modified_…`, which stay in the month); with `only_off` it fires on days off alone.
    `then` names timers of the same environment that run when a run of this one has ended for good as `then_on` says:
    `succeeded`, `failed` (or timed out), `ended`. With `remove_when_finished`, it is removed when it is finished and
    its last run has ended. With `fire_on_enable`, it also runs once when it is enabled; with `fire_on_start`, once when
    a daemon starts and no other one serves the store. A timer is created disabled; the store keeps whether it is
    `enabled`.

    Raises TimerError, whose `field` names the attribute that is wrong.
    """

    name: str
    function: str
    trigger: Trigger
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
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    calendar: str | None = None
    roll: RollConvention = RollConvention.SKIP
    #: The calendar itself, which the store sets.
    working_days: WorkingDays | None = field(default=None, repr=False, compare=False)
    max_runs: int = 0
    max_concurrent: int = 0
    grace_s: float = 5.0
    catch_up_s: float = 0.0
    pause_on_failure: bool = False
    ping_url: str | None = None
    then: tuple[str, ...] = ()
    then_on: ThenOn = ThenOn.SUCCEEDED
    remove_when_finished: bool = False
    fire_on_enable: bool = False
    fire_on_start: bool = False

    if TYPE_CHECKING:  # for type checkers: besides enums, the texts that are checked and converted below

        def __init__(
            self,
            *,
            name: str,
            function: str,
            trigger: Trigger,
            params: Mapping[str, Any] = ...,
            environment: Environment | Literal["production", "stage"] = ...,
            enabled: bool = ...,
            limit_s: float = ...,
            misfire: MisfirePolicy | Literal["fire_once", "fire_all", "skip"] = ...,
            overlap: OverlapPolicy | Literal["skip", "allow", "queue_one", "queue_all", "cancel_other"] = ...,
            delivery: Delivery | Literal["at_most_once", "at_least_once"] = ...,
            breaker_threshold: int = ...,
            jitter_s: int = ...,
            retries: int = ...,
            retry_backoff_s: float = ...,
            starts_at: datetime | str | None = ...,
            ends_at: datetime | str | None = ...,
            description: str = ...,
            tags: Iterable[str] = ...,
            calendar: str | None = ...,
            roll: RollConvention
            | Literal["skip", "following", "preceding", "modified_following", "modified_preceding", "only_off"] = ...,
            working_days: WorkingDays | None = ...,
            max_runs: int = ...,
            max_concurrent: int = ...,
            grace_s: float = ...,
            catch_up_s: float = ...,
            pause_on_failure: bool = ...,
            ping_url: str | None = ...,
            then: str | Iterable[str] = ...,
            then_on: ThenOn | Literal["succeeded", "failed", "ended"] = ...,
            remove_when_finished: bool = ...,
            fire_on_enable: bool = ...,
            fire_on_start: bool = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name, check, given in zip(_NAMES, _CHECKS, _VALUES(self), strict=True):
            checked = check(given)
            if checked is not given:
                object.__setattr__(self, name, checked)
        if not isinstance(self.trigger, Trigger):
            raise TimerError(
                "a trigger must be a Trigger such as Cron('0 0 8 ? * MON') or Every(60), "
                f"got {shown(self.trigger, 80)}",
                field="trigger",
            )
        if self.jitter_s:
            check_gap(self.jitter_s, self.trigger.gap)
        if self.calendar is not None:
            check_calendar(self.trigger)
        if 0 < self.catch_up_s < self.grace_s:
            raise TimerError(
                f"catch_up_s is {self.catch_up_s:g}, less than grace_s, {self.grace_s:g}: a fire within the grace runs",
                field="catch_up_s",
            )
        if self.then:
            check_circle(self.name, {self.name: self.then})
        if self.starts_at is not None or self.ends_at is not None:
            self._check_window()

    def __setstate__(self, values: Sequence[Any]) -> None:
        """Unpickle: a pickle of an earlier version lacks the attributes that later versions added at the end."""
        for attribute, value in zip(fields(self), values, strict=False):
            object.__setattr__(self, attribute.name, value)
        for attribute in fields(self)[len(values) :]:
            object.__setattr__(self, attribute.name, attribute.default)

    def _check_window(self) -> None:
        tz = None if self.trigger.tz is None else zone(self.trigger.tz)
        for name in ("starts_at", "ends_at"):
            object.__setattr__(self, name, in_utc(name, getattr(self, name), tz))
        check_window(self.starts_at, self.ends_at)

    @property
    def schedule(self) -> FireTimes:
        """Its fire times: the trigger on working days, shifted by the timer's jitter, in its window."""
        later_s = offset_s(self.environment, self.name, self.jitter_s)
        fires: FireTimes = self.trigger
        if self.calendar is not None:
            fires = on_working_days(self.trigger, self.calendar, self.roll, self.working_days)
        return windowed(shifted(fires, later_s), self.starts_at, self.ends_at)

    def has_in_window(self, now: datetime) -> bool:
        """Whether an instant is in [starts_at, ends_at)."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)

    def anchored(self, now: datetime) -> Timer:
        """The timer with its anchor at `now`, or at the beginning of its window, if its trigger has an anchor."""
        trigger = self.trigger.anchored(now if self.starts_at is None else max(now, self.starts_at))
        return self if trigger is self.trigger else replace(self, trigger=trigger)
