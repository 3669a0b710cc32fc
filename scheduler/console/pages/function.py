"""A function: its description, the timers that call it, its latest runs, and a form that calls it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, make_response, request

from ...core.attributes import ATTRIBUTES
from ...core.environments import Environment
from ...core.timer_checks import params_text
from ...errors import TimerError
from ...store.catalogue import CataloguedFunction, read_function
from ...store.rows import storable
from ...store.runs import RunFilter, RunHistory
from ...store.timer_pages import TimerFilter, page_of_timers
from ..current import author, console
from ..engine_calls import CallRefusedError, EngineAnswer
from ..engine_calls import call as call_engine
from ..reader import reader
from ..rendering import render
from ..signatures import Signature, parse_signature, typed_params
from ..trigger_words import words_of

_PARAMS = next(attribute for attribute in ATTRIBUTES if attribute.name == "params")
#: The most timers and runs on the page.
_TIMERS, _RUNS = 20, 20
#: What the names of the fields of parameters begin with.
FIELD = "param-"


def show(environment: str, name: str) -> str:
    """The page."""
    return _page(environment, name)


def call(environment: str, name: str) -> Response:
    """Call the function, and show its answer."""
    described = _described(environment, name)
    try:
        params = _typed(parse_signature(described.signature))
        answer = call_engine(console(), name, Environment(environment), params, by=author(request.form.get("why", "")))
    except (ValueError, TimerError, CallRefusedError) as error:
        return make_response(_page(environment, name, fault=str(error)), 422)
    return make_response(_page(environment, name, answer=answer))


def _described(environment: str, name: str) -> CataloguedFunction:
    """The description of a function that a process has loaded; 404 without one."""
    found = read_function(console().store, environment, name)
    if found is None:
        abort(404)
    return found


def _typed(signature: Signature) -> Mapping[str, Any]:
    """The parameters of the form: those of its fields, and an object in JSON."""
    text = request.form.get("params", "").strip()
    others = _PARAMS.read(text) if text else {}
    params_text(others)  # TimerError if it is no object
    fields = {parameter.name: request.form.get(FIELD + parameter.name, "") for parameter in signature.parameters}
    return {**others, **typed_params(signature, fields)}


def _page(environment: str, name: str, *, answer: EngineAnswer | None = None, fault: str | None = None) -> str:
    if storable(name) != name:
        abort(404)
    described = read_function(console().store, environment, name)
    timers = page_of_timers(console().store, TimerFilter(environment=environment, function=name), limit=_TIMERS)
    runs = RunHistory(console().store).page(RunFilter(environment=environment, function=name), limit=_RUNS)
    if described is None and not timers.items and not runs.items:
        abort(404)
    return render(
        "function.html",
        name=name,
        environment=environment,
        described=described,
        signature=parse_signature(described.signature) if described else None,
        is_served=Environment(environment) in console().engines,
        timers=[(entry, words_of(entry.timer.trigger, reader().language)) for entry in timers.items],
        has_more_timers=timers.next is not None,
        runs=runs,
        answer=answer,
        fault=fault,
        field=FIELD,
        typed=request.form,
    )
