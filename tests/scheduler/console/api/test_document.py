"""The OpenAPI document against the application: every route, every answer, every example."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel

from scheduler.claims.requested_runs import request_run
from scheduler.console.api.problems import MEDIA_TYPE, ProblemModel
from scheduler.console.api.routes import ROUTES, Route
from scheduler.console.api.timer_fields import TimerBody, TimerChanges, options_by_field
from scheduler.console.current import EXTENSION
from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.environments import Environment

from ..conftest import Place
from .conftest import CRON, Program


def test_the_document_has_every_route(program: Program) -> None:
    """Of version 3.1, with its answers and problems, and a name for each operation."""
    document = program.get("openapi.json")
    assert document["openapi"].startswith("3.1")
    operations = {
        (method.upper(), address): operation
        for address, item in document["paths"].items()
        for method, operation in item.items()
    }
    wanted = {(route.method, re.sub(r"<(?:[^:<]+:)?(\w+)>", r"{\1}", route.address)): route for route in ROUTES}
    assert operations.keys() == wanted.keys()
    for key, operation in operations.items():
        assert {str(status) for status in wanted[key].answers} <= operation["responses"].keys()
        assert MEDIA_TYPE in operation["responses"]["422"]["content"]
        assert operation["operationId"] == wanted[key].endpoint.replace(".", "_")
        assert operation["summary"]
    names = re.findall(r"#/components/schemas/([\w.\-]+)", str(document))
    assert set(names) <= document["components"]["schemas"].keys()


def test_the_models_of_a_timer_are_those_of_the_tables() -> None:
    """Each attribute and each option of a trigger, by its name, and nothing else but the reason."""
    attributes = {row.name for row in ATTRIBUTES}
    options = set(options_by_field())
    assert set(TimerBody.model_fields) == attributes | options | {"why"}
    assert set(TimerChanges.model_fields) == (attributes | options | {"why"}) - {"environment"}


#: A request of every route that an operator may make after `Place.fill`, in an order in which all of them succeed.
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "timers", None),
    ("GET", "timers/production/report", None),
    ("PUT", "timers/production/b", CRON),
    ("PATCH", "timers/production/b", {"retries": 1}),
    ("POST", "timers/production/b/enable", {}),
    ("POST", "timers/production/b/disable", None),
    ("POST", "timers/production/b/reset", None),
    ("POST", "timers/bulk", {"action": "reset", "filter": {}}),
    ("POST", "timers/production/report/runs", {"params": {"a": [1]}}),
    ("GET", "timers/production/report/backfill?from=2026-11-28T00:00Z&to=2026-11-29T00:00Z", None),
    ("POST", "timers/production/report/backfill", {"from": "2026-11-25T00:00Z", "to": "2026-11-26T00:00Z"}),
    ("DELETE", "timers/production/report/backfill", None),
    ("GET", "timers/production/report/fires", None),
    ("GET", "fires?limit=2", None),
    ("POST", "cron", {"cron": "0 30 2 * * ?", "tz": "Europe/Berlin"}),
    ("GET", "runs", None),
    ("GET", "runs/1", None),
    ("POST", "runs/1/cancel", None),
    ("POST", "runs/1/again", None),
    ("GET", "runs/1/lines", None),
    ("GET", "lines", None),
    ("GET", "functions", None),
    ("POST", "functions/production/send/call", {"params": {"to": "x"}}),
    ("GET", "instances", None),
    ("GET", "statistics", None),
    ("GET", "settings", None),
    ("GET", "changes", None),
    ("GET", "alerts", None),
    ("GET", "checkup", None),
    ("GET", "pauses", None),
    ("POST", "pause", {"tag": "none"}),
    ("POST", "resume", None),
    ("PUT", "calendars/firm", {"content": {"week": "MON-FRI"}}),
    ("GET", "calendars", None),
    ("GET", "calendars/firm", None),
    ("DELETE", "calendars/firm", None),
    ("POST", "import", [{"name": "c", "function": "f", "seconds": 60}]),
    ("GET", "export", None),
    ("POST", "tokens", {"name": "vera"}),
    ("GET", "tokens", None),
    ("DELETE", "tokens/vera", None),
    ("DELETE", "timers/production/b", None),
]


def route_of(place: Place, method: str, address: str) -> Route:
    """The route of a request."""
    for route in ROUTES:
        pattern = re.sub(r"<any[^>]*>", "(?:production|stage)", route.address)
        pattern = re.sub(r"<[^>]*>", "[^/]+", pattern)
        if route.method == method and re.fullmatch(pattern, "/" + address.partition("?")[0]):
            return route
    raise AssertionError(address)


def test_every_answer_is_one_of_the_document(place: Place, program: Program) -> None:
    """Each route is asked once: the status and the JSON are those of its model, and so are problems."""
    place.fill()
    place.load("send")
    # Nothing answers there, which is an answer, too.
    place.app.extensions[EXTENSION].engines[Environment.PRODUCTION] = "http://127.0.0.1:1"
    request_run(place.store, "report", Environment.PRODUCTION, now=place.now)
    asked = set()
    for method, address, body in REQUESTS:
        route = route_of(place, method, address)
        asked.add(route.endpoint)
        answer = program.send(method, address, body)
        assert answer.status_code in route.answers, (method, address, answer.text)
        model = route.answers[answer.status_code]
        if model is None:
            assert answer.data == b""
        elif isinstance(model, type) and issubclass(model, BaseModel):
            made = model.model_validate_json(answer.data, strict=True)
            assert set(answer.json) >= {name for name, field in model.model_fields.items() if field.is_required()}
            assert made.model_dump(mode="json").keys() >= answer.json.keys()
    assert asked == {route.endpoint for route in ROUTES}
    problem = program.send("PUT", "timers/production/x", {"cron": "0 75 8 * * MON", "function": "f"})
    ProblemModel.model_validate_json(problem.data, strict=True)
    assert set(problem.json) <= set(ProblemModel.model_fields)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_document_is_for_who_has_a_token(place: Place, role: str) -> None:
    """It holds no value of this service."""
    assert Program(place, role).get("openapi.json")["info"]["title"] == "Timers"
