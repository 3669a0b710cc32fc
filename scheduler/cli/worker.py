"""scheduler worker: one worker of a Celery fleet, which runs functions for the daemons of a store."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from typing import Any

import click

from ..core.timer import Environment
from ..errors import SchedulerError
from ..fleet.broker import celery_app, check_installed, prepare, queues
from ..fleet.recycling import ChildLimits
from ..fleet.service_manager import WorkerReports
from ..formats.json import print_json_line
from ..functions.descriptions import described
from ..functions.registry import Registry
from ..project.project import Project, current_project
from ..project.setting_table import LOG_FORMATS, LOG_LEVELS
from ..store.catalogue import replace_functions
from ..up.log_setup import log_to_stderr
from ..up.nonblocking_output import nonblocking_stdio
from ..up.service_manager import ServiceManager
from .options import json_option, served_environment_option, store_option

log = logging.getLogger("scheduler.worker")


@click.command("worker")
@click.argument("target", required=False, metavar="[CLOUD.PY|MODULE:ENGINE]")
@click.option(
    "-c", "--concurrency", "workers", type=int, metavar="N", help="Most functions that run at a time (default 2)."
)
@click.option("--broker", metavar="URL", help="Broker: pgmq:// (the store itself, the default), amqp://… or redis://….")
@click.option("--name", "node", metavar="NAME", help="Name of the worker (default: from that of the host).")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Lowest level that is logged (default info).")
@click.option("--log-format", type=click.Choice(LOG_FORMATS), help="Format of the log on stderr (default text).")
@served_environment_option
@store_option
@json_option
@nonblocking_stdio()
def command(*, target: str | None, node: str | None, as_json: bool, **options: Any) -> None:
    """Run functions that the daemons of a store publish (executor = "celery"), until Ctrl-C.

    A function is killed at its limit, with the processes that it started. Ctrl-C waits for functions in progress; a
    second one stops at once.
    """
    if os.getpid() == 1:
        # The kernel has no default action for process 1. Elsewhere that action ends even an import that holds the
        # interpreter.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    project = current_project(**options)
    settings = project.settings
    log_to_stderr(settings)
    broker, workers = settings.executor_setting("broker"), settings.executor_setting("workers")
    check_installed(broker)
    reports = WorkerReports(ServiceManager())
    with project.open_or_create_store() as store:
        app = celery_app(broker, store)
        prepare(broker, store)
        names = queues(store)
    from ..fleet.worker import serve

    loaded = project.load_to_serve(project.required_target_name(target))
    environments = [project.only_environment] if project.only_environment else list(Environment)
    functions = loaded.registry.names()
    _record_functions(project, environments, loaded.registry)
    reports.status = f"serving {' and '.join(environments)}: {len(functions)} functions, {workers} at a time"
    # Until Celery handles it.
    signal.signal(signal.SIGTERM, _end)
    if as_json:
        print_json_line({"functions": functions, "environments": environments, "workers": workers})
    else:
        click.echo(f"{reports.status}; Ctrl-C stops it")
    status = serve(
        app,
        settings.store_url,
        loaded.registry,
        {environment: names[environment] for environment in environments},
        ["--concurrency", str(workers), "--loglevel", settings.log_level, "--hostname", node or "%d-%h"],
        stop_timeout_s=settings.stop_timeout_s,
        alerts=settings.alerts,
        limits=ChildLimits(settings.executor_setting("worker_max_runs"), settings.executor_setting("worker_max_mb")),
    )
    if status:
        raise SystemExit(status)


def _record_functions(project: Project, environments: Sequence[Environment], registry: Registry) -> None:
    """Replace the functions in the catalogue of the store, for the console; a failure is logged, and changes no run."""
    try:
        with project.open_store() as store:
            for environment in environments:
                replace_functions(store, environment, described(registry))
    except SchedulerError as error:
        log.warning("the console does not know the functions of this worker: %s", error)


def _end(*_: object) -> None:
    raise SystemExit(0)
