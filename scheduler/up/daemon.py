"""The process of `scheduler up` that fires timers. No code of the user runs here, unless an executor uses threads."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from ..alerts.courier_process import CourierProcess
from ..core.timer import Environment
from ..daemon.events import combined
from ..daemon.loop import Daemon
from ..executors import Executor
from ..executors.thread import ThreadExecutor
from ..project.project import Project
from ..store.database import Store
from ..store.runs import RunHistory
from ..workers.strays import strays
from .announcement import report_of_timers
from .call_log import call_log
from .declared_timers import apply_all
from .executors import ServedFunctions, executors
from .handover import Channel, Handover
from .http_server import Site, UpServer
from .metrics_endpoint import collected_metrics, metrics_app
from .options import UpOptions
from .orders import Orders
from .run_reports import ReportingListener, RunReporter, make_reporter
from .stop_signals import SECOND_SIGNAL
from .supervisor_messages import SupervisorMessages

if TYPE_CHECKING:
    from ..metrics import Metrics

log = logging.getLogger("scheduler.up")


def serve_timers(handover: Handover, options: UpOptions, channel: Channel, orders: Orders) -> int:
    """Fire timers until an order to stop; returns the exit status."""
    project = options.project()
    with ExitStack() as stack:
        store = stack.enter_context(options.open_store(project))
        store.check_writable()
        project.set_environ_to_serve()
        functions = orders.wait_for_start()
        served = ServedFunctions(
            functions["target"],
            (functions["app_id"] or "", functions["app_key"] or ""),
            lambda: project.load_to_serve(functions["target"]).registry,
            functions["hook_key"],
        )
        running = executors(project, served, options.preview_source(project), store, stack)
        if not warn_of_threads(running):
            strays.adopt()
        metrics = stack.enter_context(collected_metrics()) if handover.metrics_listener is not None else None
        messages = SupervisorMessages(store, project, stack.enter_context(call_log(store, project)), channel, metrics)
        orders.on_message = messages.take
        endpoint = None
        if metrics and handover.metrics_listener is not None:
            listener = stack.enter_context(socket.socket(fileno=handover.metrics_listener))
            endpoint = Site(listener, metrics_app(metrics, project.settings.metrics_host))
        courier = stack.enter_context(make_courier(project, store))
        reporter = make_reporter(project.settings, as_json=options.as_json)
        daemon = make_daemon(project, store, running, reporter, metrics, courier)
        server = UpServer(orders, second_site=endpoint)
        stack.enter_context(server.stops_recorded())
        log_changes = apply_all(store, functions, project) if handover.declares else lambda: None
        channel.send(ready=report_of_timers(options, project, store, functions))
        orders.wait_to_fire()
        log_changes()
        status = server.serve(DaemonInBackground(daemon))
        if daemon.has_ended_itself:
            return 1  # the supervisor starts another one, of the newer version if that is installed
        messages.wait_for_last_lines(orders)
        return status


def warn_of_threads(running: Mapping[Environment, Executor]) -> bool:
    """Log which environments run functions of the user in this process; returns whether there are any."""
    environments = [environment for environment, executor in running.items() if isinstance(executor, ThreadExecutor)]
    if environments:
        log.warning(
            "timers of %s run in threads of the daemon: a function that holds the interpreter delays every timer",
            " and ".join(environments),
        )
    return bool(environments)


def make_courier(project: Project, store: Store) -> CourierProcess:
    """The process that delivers the alerts of a project's settings, and sends pings."""
    settings = project.settings
    return CourierProcess(
        store,
        settings.alerts,
        ping_private=settings.ping_private,
        durability=settings.durability,
        # Else the daemon would kill it as a process that a worker has left behind.
        starting=strays.starting,
    )


def make_daemon(
    project: Project,
    store: Store,
    running: Mapping[Environment, Executor],
    reporter: RunReporter,
    metrics: Metrics | None,
    courier: CourierProcess,
) -> Daemon:
    """The daemon with the settings of a project; it reports to `reporter`, and to `metrics` if they are served."""
    settings = project.settings
    reports = ReportingListener(RunHistory(store), reporter)
    daemon = Daemon(
        store,
        running,
        keep=timedelta(days=settings.keep_days),
        keep_runs=settings.keep_runs,
        listener=combined(reports, metrics) if metrics else reports,
        courier=courier,
    )
    if metrics:
        metrics.watch(daemon, store)
    return daemon


class DaemonInBackground:
    """The daemon as the background service of a server."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def run(self) -> None:
        self._daemon.run()

    def stop(self) -> None:
        self._daemon.stop()

    def log_stopping(self, *, is_retiring: bool) -> None:
        running = self._daemon.begun
        waits = f"waiting for {running} in progress" if running else "none in progress"
        if not is_retiring:
            log.info("stopping: no further runs, %s; %s", waits, SECOND_SIGNAL)
        elif running:
            log.info("the previous version begins no further runs, %s", waits)

    def log_stopping_at_once(self) -> None:
        log.info("stopping at once; runs in progress are killed and recorded as abandoned")
