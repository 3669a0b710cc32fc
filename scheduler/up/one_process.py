"""`scheduler up` with `processes = "one"`: engine and daemon in one process, to save memory.

Functions that are called over HTTP then share the interpreter with the daemon: one that holds the GIL delays timers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from ..engine.credentials import keep_keys, our_keys
from ..functions.loading import Target
from ..functions.source_snapshot import current, load_from, take_snapshot
from ..metrics import Metrics
from ..project.handed_on import hand_on
from ..project.project import Project
from .announcement import announce, report_of_functions, report_of_timers, warn
from .application import application, capacity
from .call_log import call_log, own_lines
from .daemon import DaemonInBackground, make_courier, make_daemon
from .declared_timers import apply_all
from .executors import ServedFunctions, executors
from .handover import Channel, Handover
from .http_server import Site, Stops, UpServer
from .log_setup import json_handler
from .metrics_endpoint import collected_metrics, metrics_app
from .options import UpOptions
from .orders import Orders
from .raw_output import raw_output_as_lines
from .raw_pipes import own_pipes
from .run_reports import make_reporter
from .served_sources import serving_record
from .service_manager import ServiceManager
from .sockets import Sockets, inherited_sockets
from .stop_signals import StopSignals
from .supervisor_messages import SupervisorMessages
from .web import load_and_declare, save_used_keys

Values = dict[str, Any]


class _Alone:
    """The steps beside serving if there is no supervisor."""

    def __init__(self, options: UpOptions, sockets: Sockets) -> None:
        self._options = options
        self._sockets = sockets
        #: None under a supervisor, which sends it.
        self.manager: ServiceManager | None = None
        self.record = serving_record(options, sockets, reloads=False)

    def begin(self, functions: Values) -> Values:
        """Called when the functions have loaded; returns their report with that of a preview."""
        return functions

    def follow(self, messages: Callable[[Channel], SupervisorMessages]) -> None:
        """Called when the store is open; from then on, messages of the supervisor can be handled."""

    def ready(self, functions: Values, timers: Values) -> None:
        """Called when all is ready; returns when timers may fire."""
        announce(self._options, self._sockets, functions, timers)
        warn(timers)
        self.record.write(functions["sources"])
        if self.manager:
            self.manager.ready("serving functions and timers in one process")

    def end(self) -> None:
        """Called when nothing is served any more; returns when the store may be closed."""
        if self.manager:
            self.manager.stopping()


class _Supervised(_Alone):
    """The same under a supervisor, which gets the reports and adds those of a preview."""

    def __init__(self, options: UpOptions, sockets: Sockets, channel: Channel, orders: Orders) -> None:
        super().__init__(options, sockets)
        self._channel = channel
        self._orders = orders
        self._messages: SupervisorMessages | None = None

    def begin(self, functions: Values) -> Values:
        self._channel.send(loaded=functions)
        return self._orders.wait_for_start()

    def follow(self, messages: Callable[[Channel], SupervisorMessages]) -> None:
        self._messages = messages(self._channel)
        self._orders.on_message = self._messages.take

    def ready(self, functions: Values, timers: Values) -> None:  # noqa: ARG002
        self._channel.send(ready=timers)
        self._orders.wait_to_fire()

    def end(self) -> None:
        if self._messages:
            self._messages.wait_for_last_lines(self._orders)


def serve_alone(options: UpOptions, sockets: Sockets) -> int:
    """Serve and fire timers in this process until a stop signal; returns the exit status."""
    beside, manager = _Alone(options, sockets), ServiceManager()
    beside.manager = manager
    try:
        with own_pipes() as raw, manager.alive_meanwhile():
            return _serve(options, sockets, StopSignals(), beside, raw, declares=True)
    finally:
        beside.record.remove()


def serve_all(handover: Handover, options: UpOptions, channel: Channel, orders: Orders) -> int:
    """The same under a supervisor: beside a preview, or with --reload."""
    with ExitStack() as stack:
        sockets = inherited_sockets(handover, stack)
        beside = _Supervised(options, sockets, channel, orders)
        return _serve(options, sockets, orders, beside, handover.raw, declares=handover.declares)


def _serve(
    options: UpOptions,
    sockets: Sockets,
    stops: Stops,
    beside: _Alone,
    raw: Sequence[int] | None,
    *,
    declares: bool,
) -> int:
    project = options.project()
    if current() is None and (sources := take_snapshot([project.settings.folder])) is not None:
        load_from(sources)
    with ExitStack() as stack:
        port = str(sockets.live.getsockname()[1])
        hand_on(os.environ, {"LEANCLOUD_APP_PORT": port}, project.settings.origin("port"))
        store = stack.enter_context(options.open_store(project))
        store.check_writable()
        reporter = make_reporter(project.settings, as_json=options.as_json)
        writer = stack.enter_context(call_log(store, project))
        stack.enter_context(raw_output_as_lines(raw, to_stderr=options.as_json or json_handler() is not None))
        stack.enter_context(own_lines(writer, reporter, project.environment.value))
        target = options.target_name(project)
        loaded, declared = load_and_declare(options, project, target)
        keys_from = save_used_keys(project, options)
        keep_keys()
        functions = beside.begin(report_of_functions(loaded, keys_from, declared))
        running = executors(project, _served(target, loaded), options.preview_source(project), store, stack)
        metrics = stack.enter_context(collected_metrics()) if sockets.metrics else None
        server = _server(stops, sockets, loaded, metrics, project)
        courier = stack.enter_context(make_courier(project, store))
        daemon = make_daemon(project, store, running, reporter, metrics, courier)
        stack.enter_context(server.stops_recorded())
        log_changes = apply_all(store, functions, project) if declares else lambda: None
        beside.follow(lambda channel: SupervisorMessages(store, project, writer, channel, metrics))
        beside.ready(functions, report_of_timers(options, project, store, functions))
        log_changes()
        status = server.serve(DaemonInBackground(daemon)) or int(daemon.has_ended_itself)
        beside.end()
        return status


def _served(target: str, loaded: Target) -> ServedFunctions:
    keys = our_keys()
    return ServedFunctions(target, (keys.app_id or "", keys.app_key or ""), lambda: loaded.registry, keys.hook_key)


def _server(stops: Stops, sockets: Sockets, loaded: Target, metrics: Metrics | None, project: Project) -> UpServer:
    metrics_site = None
    if sockets.metrics and metrics:
        metrics_site = Site(sockets.metrics, metrics_app(metrics, project.settings.metrics_host))
    live_site = Site(sockets.live, application(loaded))
    return UpServer(stops, live_site, capacity=capacity(loaded), second_site=metrics_site)
