"""`scheduler up` with `processes = "one"`: engine and daemon in one process, where memory is short.

A function that is called over HTTP then shares the interpreter with the daemon: one that holds it delays timers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ..engine.credentials import our_keys
from .announcement import announce, report_of_functions, report_of_timers, warn
from .application import application, capacity
from .call_log import call_log
from .daemon import DaemonInBackground, log, make_daemon
from .declared_timers import log_synchronised
from .executors import ServedFunctions, executors
from .handover import Channel, Handover
from .http_server import Site, Stops, UpServer
from .metrics_endpoint import collected_metrics, metrics_app
from .orders import Orders
from .request import UpRequest
from .run_reports import make_reporter
from .sockets import Sockets, inherited_sockets
from .stop_signals import StopSignals
from .web import load_and_declare, save_used_keys

Values = dict[str, Any]


def serve_alone(request: UpRequest, sockets: Sockets) -> int:
    """Serve and fire timers in this very process until a stop signal; returns the exit status."""

    def ready(functions: Values, timers: Values) -> None:
        announce(request, sockets, functions, timers)
        warn(timers)

    return _serve(request, sockets, StopSignals(), lambda functions: functions, ready, declares=True)


def serve_all(handover: Handover, request: UpRequest, channel: Channel, orders: Orders) -> int:
    """The same for a supervisor: beside a preview, or while sources are watched."""

    def begin(functions: Values) -> Values:
        channel.send(loaded=functions)
        return orders.wait_for_start()

    def ready(_: Values, timers: Values) -> None:
        channel.send(ready=timers)
        orders.wait_to_fire()

    with ExitStack() as stack:
        sockets = inherited_sockets(handover, stack)
        return _serve(
            request,
            sockets,
            orders,
            begin,
            ready,
            declares=handover.declares,
        )


def _serve(
    request: UpRequest,
    sockets: Sockets,
    stops: Stops,
    begin: Callable[[Values], Values],
    ready: Callable[[Values, Values], None],
    *,
    declares: bool,
) -> int:
    """Serve; `begin` is called with what was loaded and adds the functions of the preview, `ready` at the end."""
    project = request.project()
    with ExitStack() as stack:
        os.environ["LEANCLOUD_APP_PORT"] = str(sockets.live.getsockname()[1])
        store = stack.enter_context(request.open_store(project))
        store.check_writable()
        reporter = make_reporter(project.settings, as_json=request.as_json)
        stack.enter_context(call_log(store, project, reporter))
        target = request.target_name(project)
        loaded, done = load_and_declare(request, project, store, target, declares=declares)
        functions = begin(report_of_functions(loaded, save_used_keys(project, request.generated_keys or {})))
        keys = our_keys()
        served = ServedFunctions(target, (keys.app_id or "", keys.app_key or ""), lambda: loaded.registry)
        running = executors(project, served, request.preview_source(project), store, stack)
        metrics = stack.enter_context(collected_metrics()) if sockets.metrics else None
        server = UpServer(
            stops,
            Site(sockets.live, application(loaded)),
            capacity=capacity(loaded),
            second_site=Site(sockets.metrics, metrics_app(metrics)) if sockets.metrics and metrics else None,
        )
        daemon = make_daemon(project, store, running, reporter, metrics)
        stack.enter_context(server.stops_recorded())
        ready(functions, report_of_timers(request, project, store, functions))
        log_synchronised(done, target, log)
        return server.serve(DaemonInBackground(daemon))
