"""Running a timer with other parameters, and repeating a run."""

from __future__ import annotations

import json

from flask import Response, abort, make_response, request

from ...claims.requested_runs import request_again, request_run
from ...core.attributes import ATTRIBUTES
from ...core.environments import Environment
from ...errors import RunError, TimerError
from ...store.runs import RunHistory
from ..current import author, console
from ..links import go
from ..rendering import render

_PARAMS = next(attribute for attribute in ATTRIBUTES if attribute.name == "params")


def show(environment: str, name: str) -> str:
    """The form, with the parameters of the timer, or of the run that the address names."""
    timer = console().timers.get(name, Environment(environment)).timer
    params = json.dumps(dict(timer.params), ensure_ascii=False, indent=2)
    run_id = request.args.get("of", type=int)
    run = None if run_id is None or run_id >= 2**63 else RunHistory(console().store).run(run_id)
    if run is not None and run.own_params is not None:
        params = json.dumps(json.loads(run.own_params), ensure_ascii=False, indent=2)
    return render("run_form.html", timer=timer, params=params, why="", fault=None)


def run(environment: str, name: str) -> Response:
    """Request a run, with other parameters if there are some in the form, and go to its page."""
    given, why = request.form.get("params", "").strip(), request.form.get("why", "")
    where = Environment(environment)
    try:
        params = _PARAMS.read(given) if given else None
        run_id = request_run(console().store, name, where, now=console().now(), params=params, by=author(why))
    except (ValueError, TimerError) as error:
        timer = console().timers.get(name, where).timer
        return make_response(render("run_form.html", timer=timer, params=given, why=why, fault=str(error)), 422)
    return go("run", run_id=run_id, did="requested")


def again(run_id: int) -> Response:
    """Run the timer of a run again, with that run's parameters."""
    if run_id >= 2**63:
        abort(404)
    try:
        new_id = request_again(console().store, run_id, now=console().now(), by=author())
    except RunError as error:
        return make_response(render("error.html", key="404", status=404, detail=str(error)), 404)
    return go("run", run_id=new_id, did="requested")
