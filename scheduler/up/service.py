"""TODO-DOC"""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

import click

from ..core.timer import Environment
from ..daemon.events import telling
from ..daemon.loop import Daemon
from ..engine.credentials import our_keys
from ..errors import ConfigError
from ..formats.json import print_json_line
from ..functions.loading import Target
from ..project.function_check import missing_functions
from ..project.keys import save_keys, set_missing_keys
from ..project.preview_sources import PreviewSource
from ..project.project import Project, printing_to_stderr
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.timers import TimerTable
from . import banner
from .application import application, capacity, say, take_over
from .call_log import writing_down
from .executors import executors
from .handover import Handover
from .http_server import Site, UpServer, listening
from .log_setup import json_handler
from .metrics_endpoint import measuring, metrics_app
from .preview import Both, Preview, preview
from .run_reports import Journal, teller_of

log = logging.getLogger("scheduler.up")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one `up` serves: the functions of a place, and beside them the sources of a preview."""

    project: Project
    target: str
    preview: PreviewSource | None
    as_json: bool


class Sockets(NamedTuple):
    """Where it listens."""

    live: socket.socket
    stage: socket.socket | None
    metrics: socket.socket | None


def _live(project: Project) -> Project:
    """A place beside which there is a preview: it is production."""
    if project.only_environment is Environment.STAGE:
        origin = project.settings.origin("environment")
        raise ConfigError(f"{origin}: beside a preview (--stage PORT), what is served here is production")
    return Project(replace(project.settings, environment=Environment.PRODUCTION.value))


def _listening(project: Project, stage_port: int | None, stack: ExitStack) -> Sockets:
    settings = project.settings
    wanted = (
        (settings.host, settings.port, "--port"),
        (settings.host, stage_port, "--stage"),
        (settings.metrics_host, settings.metrics_port, "--metrics-port"),
    )
    live, stage, metrics = (
        None if port is None else stack.enter_context(listening(host, port, option=option))
        for host, port, option in wanted
    )
    assert live is not None
    return Sockets(live, stage, metrics)


def _taken_over(given: Handover, stack: ExitStack) -> Sockets:
    live = stack.enter_context(socket.socket(fileno=given.listener))
    stage, metrics = (
        None if fileno is None else stack.enter_context(socket.socket(fileno=fileno))
        for fileno in (given.stage_listener, given.metrics_listener)
    )
    return Sockets(live, stage, metrics)


def _serve(plan: Plan, sockets: Sockets, given: Handover | None) -> int:
    project, settings = plan.project, plan.project.settings
    with ExitStack() as stack:
        os.environ["LEANCLOUD_APP_PORT"] = str(sockets.live.getsockname()[1])
        store = stack.enter_context(project.open_or_create_store())
        store.check_writable()
        provided = set_missing_keys(project.keys_file)
        teller = teller_of(project, as_json=plan.as_json)
        stack.enter_context(writing_down(store, project, teller))
        with printing_to_stderr() if plan.as_json or json_handler() else nullcontext():
            loaded = project.load_to_serve(plan.target)
        changes = take_over(store, loaded.registry, project)
        keys_from = _keep_keys(project, provided)
        beside = _beside(plan, sockets, stack)
        running = executors(project, loaded, plan.preview, store, stack)
        metrics = stack.enter_context(measuring()) if sockets.metrics else None
        server = UpServer(
            sockets.live,
            application(loaded),
            capacity=capacity(loaded),
            supervised=given is not None,
            beside=Site(sockets.metrics, metrics_app(metrics)) if sockets.metrics and metrics else None,
        )
        journal = Journal(RunHistory(store), teller)
        listener = telling(journal, metrics) if metrics else journal
        keep = timedelta(days=settings.keep_days)
        daemon = Daemon(store, running, keep=keep, keep_runs=settings.keep_runs, listener=listener)
        if metrics:
            metrics.watch(daemon, store)
        stack.enter_context(server.signals_caught())
        _announce(plan, loaded, store, sockets, keys_from, beside, given)
        say(changes, plan.target, log)
        return server.serve_beside(Both(daemon, beside) if beside else daemon)


def _beside(plan: Plan, sockets: Sockets, stack: ExitStack) -> Preview | None:
    if plan.preview is None or sockets.stage is None:
        return None
    return stack.enter_context(preview(plan.preview, sockets.stage, plan.project, as_json=plan.as_json))


def _keep_keys(project: Project, provided: dict[str, str]) -> str:
    """Keep the keys that were made up, if the engine goes by them; says where the keys come from."""
    ours = our_keys()
    used = {ours.app_id, ours.app_key, ours.master_key, ours.hook_key} & set(provided.values())
    if used:
        save_keys(provided, project.keys_file)
        return str(project.keys_file)
    return "from the code" if provided else "from the environment"


def _announce(
    plan: Plan,
    loaded: Target,
    store: Store,
    sockets: Sockets,
    keys_from: str,
    beside: Preview | None,
    given: Handover | None,
) -> None:
    project, names = plan.project, loaded.registry.names()
    url = banner.base_url(project.settings.host, sockets.live.getsockname()[1])
    stated = banner.facts(
        project, target=loaded.name, url=url, store=str(store), keys_from=keys_from, registry=loaded.registry
    )
    entries = TimerTable(store).list(None if beside else project.only_environment)
    known = {
        environment: (names, loaded.name)
        for environment in Environment
        if project.settings.for_environment(environment).runs_what_is_served
    }
    if beside and plan.preview and sockets.stage:
        port = sockets.stage.getsockname()[1]
        stated |= banner.stage_facts(project, plan.preview.folder, port, starts=beside.functions is not None)
        known[Environment.STAGE] = beside.functions or [], f"the stage's {plan.preview.target}"
    if sockets.metrics:
        host, port = sockets.metrics.getsockname()[:2]
        stated["metrics"] = f"{banner.base_url(host, port)}/metrics"
    if given:
        given.say_ready(stated)
    if given is None or not given.again:
        function = banner.example_function(loaded.registry)
        # With --json a program reads it, which was started to call functions.
        curl = banner.curl if plan.as_json or sys.stdout.isatty() else banner.curl_without_key
        call = curl(url, our_keys(), function) if function else None
        if plan.as_json:
            print_json_line({**stated, "call": call})
        else:
            banner.print_banner(stated, entries, call, project.settings.tz)
    for warning in missing_functions(entries, known):
        if json_handler():
            log.warning("%s", warning)
        else:
            click.echo(f"Warning: {warning}", err=True)
