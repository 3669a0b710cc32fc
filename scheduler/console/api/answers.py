"""The models of the answers: the JSON objects that the command line prints with --json, and pages of them."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from ...core.attributes import ATTRIBUTES
from ...core.trigger_kinds import trigger_kinds
from .timer_fields import json_type

Instant: TypeAlias = Annotated[str, Field(json_schema_extra=cast(Any, {"format": "date-time"}))]


class AnswerModel(BaseModel):
    """The base of all answers; a later version may add fields."""

    model_config = ConfigDict(extra="allow")


def page_of(item: type[BaseModel]) -> type[BaseModel]:
    """The model of a page of items."""
    return create_model(
        f"{item.__name__.removesuffix('Model')}Page",
        __doc__="A page of a list.",
        items=(list[item], ...),  # type: ignore[valid-type]
        next=(str | None, Field(description="The cursor of the next page; null at the end.")),
        looked_back_to=(Instant | None, Field(None, description="How far the page has looked, if it is not full.")),
    )


class BreakerModel(AnswerModel):
    """The breaker of a timer."""

    threshold: int
    state: str
    consecutive_failures: int
    next_probe_at: Instant | None
    last_error: str | None


def _timer_fields() -> dict[str, Any]:
    fields: dict[str, Any] = {row.key: (json_type(row), ...) for row in ATTRIBUTES if row.key is not None}
    fields["params"] = (dict[str, Any] | None, Field(description="null where console_hide hides it from viewers."))
    for kind in trigger_kinds():
        fields |= {option.key: (Any, None) for option in kind.options if option.key}
    return fields


TimerModel: type[AnswerModel] = create_model(
    "TimerModel",
    __base__=AnswerModel,
    __doc__="A timer of the store.",
    **{
        **_timer_fields(),
        "state": (str, Field(description="enabled, paused, finished, or disabled.")),
        "next_fire": (Instant | None, ...),
        "breaker": (BreakerModel, ...),
        "declared_in": (str | None, ...),
        "created_at": (Instant, ...),
        "revision": (int, Field(description="The ETag: another one after each edit.")),
    },
)


class TimerWarningModel(AnswerModel):
    """What is allowed, and probably not meant: a function that is not known, an attribute without effect."""

    field: str
    message: str


OneTimerModel: type[AnswerModel] = create_model(
    "OneTimerModel",
    __base__=TimerModel,
    __doc__="A timer of the store, and warnings about its attributes.",
    warnings=(list[TimerWarningModel], ...),
)


class RunModel(AnswerModel):
    """A run of the history."""

    id: int
    timer: str
    environment: str
    function: str
    kind: str
    fire_time: Instant
    last_fire_time: Instant
    count: int
    attempt: int
    request_id: str
    started_at: Instant | None
    ended_at: Instant | None
    lateness_s: float | None
    duration_s: float | None
    outcome: str | None = Field(description="null while the run waits or is in progress.")
    message: str
    error: str | None
    result: Any = None
    lines_dropped: int
    due_at: Instant | None
    retry_at: Instant | None
    own_params: Any = None
    cancel_requested_at: Instant | None


class LineModel(AnswerModel):
    """A line that a function printed."""

    at: Instant
    timer: str | None
    run: int | None
    function: str
    environment: str
    request_id: str
    level: str
    text: str


class ChangeModel(AnswerModel):
    """A recorded change."""

    id: int
    at: Instant
    author: str
    way: str
    why: str
    subject: str
    action: str
    name: str
    environment: str | None
    former_name: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AlertModel(AnswerModel):
    """An alert: what has happened, how often, and whether it was delivered."""

    id: int
    webhook_id: str
    rule: str
    cause: str
    subject: str
    environment: str | None
    at: Instant
    last_at: Instant
    count: int
    is_open: bool
    run_id: int | None
    message: str
    state: str
    attempts: int
    delivered_at: Instant | None
    error: str | None


class FireModel(AnswerModel):
    """A fire time of a timer."""

    fire_time: Instant
    timer: str
    environment: str


class FiresModel(AnswerModel):
    """Fire times, oldest first; `next` is the `from` of the next ones."""

    items: list[FireModel]
    next: Instant | None


class AdviceModel(AnswerModel):
    """What is valid but perhaps not intended."""

    code: str
    text: str


class ClockChangeModel(AnswerModel):
    """A change of the clock, the fires of that night, and those under the other rule."""

    at: Instant
    fires: list[Instant]
    other_dst: str
    other_fires: list[Instant]


class YearModel(AnswerModel):
    """The number of fires on each day of a year."""

    year: int
    days: list[int]
    total: int


class ScheduleModel(AnswerModel):
    """What a trigger means."""

    words: dict[str, str]
    canonical: str | None
    tz: str | None
    fires: list[Instant]
    shortest_s: float | None
    longest_s: float | None
    per_year: int
    clock_changes: list[ClockChangeModel]
    advice: list[AdviceModel]
    year: YearModel


class BackfillModel(AnswerModel):
    """The fire times that a backfill enters, how many have a run, and how many are left to the daemon."""

    timer: str
    environment: str
    entered: bool
    fire_times: list[Instant]
    have_run: int
    still_due: int


class CancelledModel(AnswerModel):
    """How many waiting runs were removed."""

    cancelled: int


class TimerKeyModel(AnswerModel):
    """A timer by its key."""

    environment: str
    name: str


class BulkResultModel(AnswerModel):
    """The timers that an action has changed, or would."""

    action: str
    dry_run: bool
    timers: list[TimerKeyModel]


class ImportEffectModel(AnswerModel):
    """What a list does to a timer: added, changed or removed."""

    effect: str
    environment: str
    name: str


class ImportResultModel(AnswerModel):
    """What a list of timers has changed, or would."""

    dry_run: bool
    effects: list[ImportEffectModel]
    unchanged: int


class FunctionModel(AnswerModel):
    """A function that a process has loaded or that timers call; the description is null if none has loaded it."""

    name: str
    environments: list[str]
    timers: int
    signature: str | None
    doc: str | None
    place: str | None


class CallAnswerModel(AnswerModel):
    """The answer to a call: the result, or the error of the function or the engine."""

    succeeded: bool
    result: Any = Field(description="Text, if it is too long to be kept as a whole.")
    error: str | None
    request_id: str | None = Field(description="With it, GET /lines finds what the function printed.")
    took_s: float


class InstanceModel(AnswerModel):
    """A daemon."""

    host: str
    pid: int
    started_at: Instant
    lease_until: Instant
    is_alive: bool


class PauseModel(AnswerModel):
    """A pause."""

    environment: str | None
    tag: str | None
    since: Instant
    until: Instant | None
    by: str
    note: str


class TroubledModel(AnswerModel):
    """A timer whose breaker is not closed."""

    name: str
    environment: str
    state: str
    failures: int
    last_error: str | None


class StatisticsModel(AnswerModel):
    """Counts at one instant."""

    timers: dict[str, dict[str, int]] = Field(description="By environment: enabled and disabled ones.")
    breakers: dict[str, int]
    troubled: list[TroubledModel]
    overdue: int
    finished: int
    paused: int
    due_since: Instant | None
    daemons_alive: int


class SettingModel(AnswerModel):
    """A setting; values that are secrets are not shown."""

    name: str
    value: str
    origin: str


class FindingModel(AnswerModel):
    """The result of a check."""

    name: str
    ok: bool
    state: str
    text: str


class CalendarModel(AnswerModel):
    """A calendar of working days."""

    name: str
    week: str
    holidays: int
    worked: int
    known_until: str | None
    ends_soon: bool
    timers: int
    source: str
    changed_at: Instant
    content: dict[str, Any] | None = None


class TokenModel(AnswerModel):
    """A token, a link or a session of the console."""

    name: str
    kind: str
    role: str
    created_at: Instant
    expires_at: Instant | None


class NewTokenModel(AnswerModel):
    """A new token, which is shown this once."""

    name: str
    role: str
    token: str


def listing(item: type[BaseModel]) -> type[BaseModel]:
    """The model of a list that has one page."""
    return create_model(
        f"{item.__name__.removesuffix('Model')}List",
        __doc__="A list.",
        items=(list[item], ...),  # type: ignore[valid-type]
        next=(type(None), None),
        looked_back_to=(type(None), None),
    )


TimerPage = page_of(TimerModel)
RunPage = page_of(RunModel)
LinePage = page_of(LineModel)
ChangePage = page_of(ChangeModel)
AlertPage = page_of(AlertModel)
FunctionList = listing(FunctionModel)
InstanceList = listing(InstanceModel)
SettingList = listing(SettingModel)
FindingList = listing(FindingModel)
CalendarList = listing(CalendarModel)
PauseList = listing(PauseModel)
TokenList = listing(TokenModel)
