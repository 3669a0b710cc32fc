"""The options of `@engine.timer`, for editors and type checkers; at run time, the table of attributes decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Literal, TypedDict

from ..core.attributes import Delivery
from ..core.calendars import RollConvention
from ..core.chains import ThenOn
from ..core.environments import Environment
from ..core.misfire import MisfirePolicy
from ..core.overlap import OverlapPolicy
from ..core.triggers import Trigger


class TimerOptions(TypedDict, total=False):
    """The options of the built-in triggers, and all attributes of a Timer except its function."""

    every: float | str
    at: str | datetime | time | Sequence[str | datetime]
    on: str
    rrule: str
    start: str | date
    any_of: Sequence[Trigger | Mapping[str, Any]]
    tz: str
    dst: Literal["vixie", "quartz"]
    name: str
    environment: Environment | Literal["production", "stage"]
    enabled: bool
    params: Mapping[str, Any]
    limit_s: float
    misfire: MisfirePolicy | Literal["fire_once", "fire_all", "skip"]
    overlap: OverlapPolicy | Literal["skip", "allow", "queue_one", "queue_all", "cancel_other"]
    delivery: Delivery | Literal["at_most_once", "at_least_once"]
    jitter_s: int
    retries: int
    retry_backoff_s: float
    breaker_threshold: int
    starts_at: datetime | str | None
    ends_at: datetime | str | None
    description: str
    tags: Iterable[str]
    calendar: str | None
    roll: (
        RollConvention
        | Literal["skip", "following", "preceding", "modified_following", "modified_preceding", "only_off"]
    )
    max_runs: int
    max_concurrent: int
    grace_s: float
    catch_up_s: float
    pause_on_failure: bool
    ping_url: str | None
    then: str | Iterable[str]
    then_on: ThenOn | Literal["succeeded", "failed", "ended"]
    remove_when_finished: bool
    fire_on_enable: bool
    fire_on_start: bool
