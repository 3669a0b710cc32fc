"""The routes of the API: address, method, handler, role, and the models of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response
from pydantic import BaseModel

from ..roles import Role
from . import answers, calendars, runs, schedules, service, timers, transfer

_TIMER = "/timers/<any(production, stage):environment>/<name:name>"
_FUNCTION = "/functions/<any(production, stage):environment>/<name:name>"
_CALENDAR = "/calendars/<name:name>"
_RUN = "/runs/<int:run_id>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route. `answers` are the models by status; None means no content, a dict is part of the document."""

    address: str
    method: str
    handler: Callable[..., Response]
    role: Role
    tag: str
    answers: Mapping[int, Any] = field(default_factory=dict)
    #: Media types of a body that is not one JSON object.
    media_types: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        """The name of the endpoint, which is also its operationId."""
        return f"{self.tag}.{self.handler.__name__}"


def _get(
    address: str,
    handler: Callable[..., Response],
    tag: str,
    model: type[BaseModel],
    *,
    role: Role = Role.VIEWER,
) -> Route:
    return Route(address=address, method="GET", handler=handler, tag=tag, role=role, answers={200: model})


def _does(
    method: str, address: str, handler: Callable[..., Response], tag: str, model: type[BaseModel] | None, status: int
) -> Route:
    return Route(address=address, method=method, handler=handler, tag=tag, role=Role.OPERATOR, answers={status: model})


_EXPORT = {
    200: {
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": {"schema": {"type": "string"}},
        }
    }
}

ROUTES: tuple[Route, ...] = (
    _get("/timers", timers.index, "timers", answers.TimerPage),
    _get(_TIMER, timers.show, "timers", answers.OneTimerModel),
    Route(
        address=_TIMER,
        method="PUT",
        handler=timers.put,
        role=Role.OPERATOR,
        tag="timers",
        answers={200: answers.OneTimerModel, 201: answers.OneTimerModel},
    ),
    _does("PATCH", _TIMER, timers.patch, "timers", answers.OneTimerModel, 200),
    _does("DELETE", _TIMER, timers.delete, "timers", None, 204),
    _does("POST", f"{_TIMER}/enable", timers.enable, "timers", answers.OneTimerModel, 200),
    _does("POST", f"{_TIMER}/disable", timers.disable, "timers", answers.OneTimerModel, 200),
    _does("POST", f"{_TIMER}/reset", timers.reset, "timers", answers.OneTimerModel, 200),
    _does("POST", "/timers/bulk", timers.bulk, "timers", answers.BulkResultModel, 200),
    _does("POST", f"{_TIMER}/runs", timers.run, "timers", answers.RunModel, 202),
    _get(f"{_TIMER}/backfill", schedules.plan, "backfill", answers.BackfillModel),
    _does("POST", f"{_TIMER}/backfill", schedules.enter, "backfill", answers.BackfillModel, 202),
    _does("DELETE", f"{_TIMER}/backfill", schedules.take_back, "backfill", answers.CancelledModel, 200),
    _get(f"{_TIMER}/fires", schedules.fires, "schedules", answers.FiresModel),
    _get("/fires", schedules.all_fires, "schedules", answers.FiresModel),
    # It changes nothing, so a viewer may.
    Route(
        address="/cron",
        method="POST",
        handler=schedules.cron,
        role=Role.VIEWER,
        tag="schedules",
        answers={200: answers.ScheduleModel},
    ),
    _get("/runs", runs.index, "runs", answers.RunPage),
    _get(_RUN, runs.show, "runs", answers.RunModel),
    _does("POST", f"{_RUN}/cancel", runs.cancel, "runs", answers.RunModel, 202),
    _does("POST", f"{_RUN}/again", runs.again, "runs", answers.RunModel, 202),
    _get(f"{_RUN}/lines", runs.lines_of_run, "runs", answers.LinePage),
    _get("/lines", runs.lines, "runs", answers.LinePage),
    _get("/functions", service.functions, "service", answers.FunctionList),
    _does("POST", f"{_FUNCTION}/call", service.call, "service", answers.CallAnswerModel, 200),
    _get("/instances", service.instances, "service", answers.InstanceList),
    _get("/statistics", service.statistics, "service", answers.StatisticsModel),
    _get("/settings", service.settings, "service", answers.SettingList),
    _get("/changes", service.changes, "service", answers.ChangePage),
    _get("/alerts", service.alerts, "service", answers.AlertPage),
    # It writes to the store, to see whether that works.
    _get("/checkup", service.checkup, "service", answers.FindingList, role=Role.OPERATOR),
    _get("/pauses", service.pauses, "pauses", answers.PauseList),
    _does("POST", "/pause", service.pause, "pauses", answers.PauseModel, 200),
    _does("POST", "/resume", service.resume, "pauses", answers.PauseList, 200),
    _get("/calendars", calendars.index, "calendars", answers.CalendarList),
    _get(_CALENDAR, calendars.show, "calendars", answers.CalendarModel),
    Route(
        address=_CALENDAR,
        method="PUT",
        handler=calendars.put,
        role=Role.OPERATOR,
        tag="calendars",
        answers={200: answers.CalendarModel, 201: answers.CalendarModel},
    ),
    _does("DELETE", _CALENDAR, calendars.delete, "calendars", None, 204),
    Route(
        address="/import",
        method="POST",
        handler=transfer.import_list,
        role=Role.OPERATOR,
        tag="lists",
        answers={200: answers.ImportResultModel},
        media_types=("application/json", "text/csv"),
    ),
    Route(address="/export", method="GET", handler=transfer.export, role=Role.VIEWER, tag="lists", answers=_EXPORT),
    _get("/tokens", service.tokens, "tokens", answers.TokenList, role=Role.OPERATOR),
    _does("POST", "/tokens", service.add_token, "tokens", answers.NewTokenModel, 201),
    _does("DELETE", "/tokens/<name:name>", service.remove_token, "tokens", None, 204),
)
BY_ENDPOINT: Mapping[str, Route] = {route.endpoint: route for route in ROUTES}
#: The document itself, which a viewer may read.
DOCUMENT = "openapi"
