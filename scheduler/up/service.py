"""The service of `scheduler up`: engine and daemon in one process, on one port, with one store."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta

from ..core.timer import Environment
from ..daemon.events import combined
from ..daemon.loop import Daemon
from ..engine.credentials import our_keys
from ..errors import ConfigError
from ..project.keys import save_keys, set_missing_keys
from ..project.preview_sources import PreviewSource
from ..project.project import Project, printing_to_stderr
from ..store.runs import RunHistory
from .announcement import Started, announce
from .application import application, capacity
from .call_log import call_log
from .declared_timers import log_changes, synchronise_declared
from .executors import executors
from .handover import Handover
from .http_server import Site, UpServer
from .log_setup import json_handler
from .metrics_endpoint import collected_metrics, metrics_app
from .preview import DaemonAndPreview, Preview, preview
from .run_reports import ReportingListener, make_reporter
from .sockets import Sockets

log = logging.getLogger("scheduler.up")


@dataclass(frozen=True, slots=True)
class UpRequest:
    """What the command line asks for: the target of a project, and beside it the sources of a preview or None."""

    project: Project
    target: str
    preview_source: PreviewSource | None
    as_json: bool


def as_production(project: Project) -> Project:
    """The project as environment production, which it is beside a preview; ConfigError where stage was asked for."""
    if project.only_environment is Environment.STAGE:
        origin = project.settings.origin("environment")
        raise ConfigError(f"{origin}: with a preview (--stage PORT), the environment must be production")
    return Project(replace(project.settings, environment=Environment.PRODUCTION.value))


def serve(request: UpRequest, sockets: Sockets, handover: Handover | None) -> int:
    """Serve and fire timers until a stop signal; returns the exit status.

    `handover` is that of the parent process, None where a user started this one.
    """
    project, settings = request.project, request.project.settings
    with ExitStack() as stack:
        os.environ["LEANCLOUD_APP_PORT"] = str(sockets.live.getsockname()[1])
        store = stack.enter_context(project.open_or_create_store())
        store.check_writable()
        set_keys = set_missing_keys(project.keys_file)
        reporter = make_reporter(settings, as_json=request.as_json)
        stack.enter_context(call_log(store, project, reporter))
        with printing_to_stderr() if request.as_json or json_handler() else nullcontext():
            loaded = project.load_to_serve(request.target)
        changes = synchronise_declared(store, loaded.registry, project)
        keys_from = _save_used_keys(project, set_keys)
        beside = _start_preview(request, sockets, stack)
        running = executors(project, loaded, request.preview_source, store, stack)
        metrics = stack.enter_context(collected_metrics()) if sockets.metrics else None
        server = UpServer(
            Site(sockets.live, application(loaded)),
            capacity=capacity(loaded),
            second_site=Site(sockets.metrics, metrics_app(metrics)) if sockets.metrics and metrics else None,
            supervised=handover is not None,
        )
        reports = ReportingListener(RunHistory(store), reporter)
        daemon = Daemon(
            store,
            running,
            keep=timedelta(days=settings.keep_days),
            keep_runs=settings.keep_runs,
            listener=combined(reports, metrics) if metrics else reports,
        )
        if metrics:
            metrics.watch(daemon, store)
        stack.enter_context(server.signals_recorded())
        started = Started(project, loaded, store, sockets, keys_from, beside, request.preview_source)
        announce(started, handover, as_json=request.as_json)
        log_changes(changes, request.target, log)
        return server.serve(DaemonAndPreview(daemon, beside) if beside else daemon)


def _start_preview(request: UpRequest, sockets: Sockets, stack: ExitStack) -> Preview | None:
    if request.preview_source is None or sockets.stage is None:
        return None
    return stack.enter_context(preview(request.preview_source, sockets.stage, request.project, as_json=request.as_json))


def _save_used_keys(project: Project, set_keys: dict[str, str]) -> str:
    """Save the generated keys if the engine uses them; returns where the keys come from."""
    ours = our_keys()
    if {ours.app_id, ours.app_key, ours.master_key, ours.hook_key} & set(set_keys.values()):
        save_keys(set_keys, project.keys_file)
        return str(project.keys_file)
    return "from the code" if set_keys else "from the environment"
