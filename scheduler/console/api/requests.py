"""The models of requests: addresses, queries and bodies. Unknown fields are refused."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from ...claims.requested_runs import DEFAULT_CAP, MAX_CAP
from ...core.environments import Environment
from ...core.run import Kind, Outcome
from ...store.change_recording import MAX_WHY_LENGTH, Subject, Way
from ...store.log_lines import LEVELS
from ...store.timer_pages import TimerState
from ...store.timers_at_once import MAX_TIMERS, BulkAction
from .timer_fields import TriggerFields

MAX_LIMIT = 1_000
MAX_WAIT_S = 30.0
_TEXT = 500
_INSTANT = (
    "An instant as in 2026-01-05T08:00:00+08:00, or tomorrow 8:00, +2h, 2 hours ago; without an offset, in the time "
    "zone of the settings."
)
_SEGMENT = "The name, with ~s for /, ~t for ~, and ~d for each dot of a name of dots only."


class Strict(BaseModel):
    """The base of requests."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class TimerPath(Strict):
    """The address of a timer."""

    environment: Environment
    name: str = Field(description=_SEGMENT)


class FunctionPath(Strict):
    """The address of a function."""

    environment: Environment
    name: str = Field(description=_SEGMENT)


class NamePath(Strict):
    """The address of a calendar or a token."""

    name: str = Field(description=_SEGMENT)


class RunPath(Strict):
    """The address of a run."""

    run_id: int = Field(ge=0, lt=2**63)


class PageQuery(Strict):
    """The size and the position of a page."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="The most items of a page.")
    cursor: str | None = Field(None, max_length=_TEXT, description="The `next` of the page before.")


class TimersQuery(PageQuery):
    """Which timers."""

    q: str | None = Field(None, max_length=_TEXT, description="A part of a name, function, description or tag.")
    state: TimerState | None = None
    environment: Environment | None = None
    function: str | None = Field(None, max_length=_TEXT)
    tag: str | None = Field(None, max_length=_TEXT)


class SpanQuery(Strict):
    """A span of time: from `since` on, and before `until`."""

    since: str | None = Field(None, max_length=100, description=_INSTANT)
    until: str | None = Field(None, max_length=100, description=_INSTANT)


class RunsQuery(PageQuery, SpanQuery):
    """Which runs."""

    timer: str | None = Field(None, max_length=_TEXT)
    environment: Environment | None = None
    function: str | None = Field(None, max_length=_TEXT)
    kind: Kind | None = None
    outcome: list[Outcome | Literal["open"]] = Field([], description="open: without an outcome yet; may be repeated.")
    request_id: str | None = Field(None, max_length=_TEXT)


class RunQuery(Strict):
    """Whether to wait for the end of the run."""

    wait: float = Field(
        0.0, ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="Answer after so many seconds at most."
    )


class RunLinesQuery(PageQuery):
    """Which lines of a run: the last ones, or those before a cursor."""


class LinesQuery(PageQuery, SpanQuery):
    """Which lines."""

    timer: str | None = Field(None, max_length=_TEXT)
    function: str | None = Field(None, max_length=_TEXT)
    environment: Environment | None = None
    request_id: str | None = Field(None, max_length=_TEXT)
    level: Literal["debug", "info", "warning", "error", "critical"] | None = Field(
        None, description="The lowest level."
    )
    text: str | None = Field(None, max_length=_TEXT)


assert LEVELS == ("debug", "info", "warning", "error", "critical")


class ChangesQuery(PageQuery, SpanQuery):
    """Which changes."""

    name: str | None = Field(None, max_length=_TEXT)
    environment: Environment | None = None
    author: str | None = Field(None, max_length=_TEXT, description="A part of the author's name.")
    way: Way | None = None
    subject: Subject | None = None


class FiresQuery(Strict):
    """The span of fire times."""

    from_: str | None = Field(None, alias="from", max_length=100, description=f"By default now. {_INSTANT}")
    to: str | None = Field(None, max_length=100, description=_INSTANT)
    limit: int = Field(50, ge=1, le=MAX_LIMIT)


class AllFiresQuery(FiresQuery):
    """The span, and which timers."""

    q: str | None = Field(None, max_length=_TEXT)
    environment: Environment | None = None
    function: str | None = Field(None, max_length=_TEXT)
    tag: str | None = Field(None, max_length=_TEXT)


class WhyQuery(Strict):
    """The reason."""

    why: str = Field("", max_length=MAX_WHY_LENGTH, description="The reason, for the record of changes.")


class Reason(Strict):
    """The reason of a change."""

    why: StrictStr = Field("", max_length=MAX_WHY_LENGTH)


class DisableBody(Reason):
    """The reason, and until when."""

    until: StrictStr | None = Field(None, max_length=100, description=f"It is enabled again then. {_INSTANT}")


class RunBody(Strict):
    """A run to request."""

    params: dict[str, Any] | None = Field(None, description="Replace the parameters of the timer for this run.")
    note: StrictStr = Field("", max_length=MAX_WHY_LENGTH, description="The reason, for the record of changes.")


class CallBody(Strict):
    """A call of a function."""

    params: dict[str, Any] = Field(default_factory=dict, description="The parameters.")
    why: StrictStr = Field("", max_length=MAX_WHY_LENGTH, description="The reason, for the record of changes.")


class AgainBody(Strict):
    """A run to repeat."""

    note: StrictStr = Field("", max_length=MAX_WHY_LENGTH)


class KeyBody(Strict):
    """A timer by its key."""

    environment: Environment = Environment.PRODUCTION
    name: StrictStr


class FilterBody(Strict):
    """Which timers; as the query of GET timers."""

    q: StrictStr | None = Field(None, max_length=_TEXT)
    state: TimerState | None = None
    environment: Environment | None = None
    function: StrictStr | None = Field(None, max_length=_TEXT)
    tag: StrictStr | None = Field(None, max_length=_TEXT)


class BulkBody(Reason):
    """An action on several timers: all of them, or none."""

    action: BulkAction
    timers: list[KeyBody] | None = Field(None, max_length=MAX_TIMERS)
    filter: FilterBody | None = Field(None, description="Instead of `timers`: all that match; {} for all.")
    dry_run: StrictBool = False


class BackfillQuery(Strict):
    """The span of a backfill to compute."""

    from_: str = Field(alias="from", max_length=100, description=_INSTANT)
    to: str | None = Field(None, max_length=100, description=f"By default now. {_INSTANT}")
    limit: int = Field(DEFAULT_CAP, ge=1, le=MAX_CAP)


class BackfillBody(Strict):
    """The span of a backfill to enter."""

    from_: StrictStr = Field(alias="from", max_length=100, description=_INSTANT)
    to: StrictStr | None = Field(None, max_length=100, description=f"By default now. {_INSTANT}")
    limit: StrictInt = Field(DEFAULT_CAP, ge=1, le=MAX_CAP)
    why: StrictStr = Field("", max_length=MAX_WHY_LENGTH)


class CronBody(TriggerFields):
    """A trigger to explain, with the attributes of a timer that decide about its fires."""

    jitter_s: StrictInt = 0
    starts_at: StrictStr | None = None
    ends_at: StrictStr | None = None
    calendar: StrictStr | None = None
    roll: StrictStr = "skip"
    name: StrictStr = Field("new", description="With a jitter, the offset follows from environment and name.")
    environment: Environment = Environment.PRODUCTION
    limit_s: float | None = Field(None, description="For the advice about it.", gt=0, le=86_400)
    count: StrictInt = Field(10, ge=1, le=MAX_LIMIT, description="How many fire times.")
    year: StrictInt | None = Field(None, ge=1970, le=2099)


class PauseBody(Reason):
    """What to pause: everything, an environment, a tag, or a tag in an environment."""

    environment: Environment | None = None
    tag: StrictStr | None = None
    until: StrictStr | None = Field(None, max_length=100, description=_INSTANT)


class ResumeBody(Reason):
    """Which pause to end; with neither environment nor tag, all of them."""

    environment: Environment | None = None
    tag: StrictStr | None = None
    skip: StrictBool = Field(False, description="Record missed fires as misfired, whatever the misfire policies.")


class ExportQuery(Strict):
    """Which timers, in which format."""

    format: Literal["json", "csv"] = "json"
    environment: Environment | None = None
    tag: str | None = Field(None, max_length=_TEXT)


class ImportQuery(Strict):
    """How to import a list: the body is CSV or a JSON array, as `timers import` reads it."""

    dry_run: bool = False
    mode: Literal["add", "apply"] = Field("add", description="apply: change timers that exist, too.")
    prune: list[Environment] = Field([], description="With apply: remove the timers of an environment not listed.")
    environment: Environment = Field(Environment.PRODUCTION, description="Of lines that name none.")
    enable: bool = Field(False, description="Enable every timer of the list.")
    why: str = Field("", max_length=MAX_WHY_LENGTH)


class CalendarBody(Reason):
    """A calendar of working days, as `calendars show --json` has it under `content`."""

    content: dict[str, Any] = Field(description='For example {"week": "MON-FRI", "holidays": ["2026-01-01"]}.')
    source: StrictStr = Field("", max_length=200)


class TokenBody(Strict):
    """A token to make."""

    name: StrictStr
    role: Literal["viewer", "operator"] = "viewer"
    days: StrictInt | None = Field(None, ge=1, le=3_650)
