"""scheduler up: engine and daemon, on one port, with one store."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import click

from ..default_rules import DEFAULT_TZ_HELP
from ..errors import ConfigError
from ..project.keys import make_missing_keys
from ..project.project import Project
from ..project.serving_record import serving_processes
from ..project.setting_table import LOG_FORMATS, LOG_LEVELS
from ..up.console import bind_console
from ..up.log_setup import log_to_stderr
from ..up.nonblocking_output import nonblocking_stdio
from ..up.options import UpOptions
from ..up.sockets import Sockets, bind_sockets, local_url
from ..up.supervisor import supervise
from .options import executor_options, json_option, max_timers_option, served_environment_option, store_option


@click.command("up")
@click.argument("target", required=False, metavar="[CLOUD.PY|MODULE:ENGINE]")
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=int, metavar="PORT", help="Port to listen on; 0 takes any free one (default 3000).")
@executor_options
@max_timers_option
@click.option(
    "--tz", metavar="ZONE", help=f"Time zone of output, and of declared timers that name none ({DEFAULT_TZ_HELP})."
)
@click.option("--keep-days", type=int, metavar="N", help="Days that runs and log lines are kept (default 30).")
@click.option("--keep-runs", type=int, metavar="N", help="Most runs kept of each timer; 0 = all (default 0).")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="Lowest level that is logged (default info).")
@click.option("--log-format", type=click.Choice(LOG_FORMATS), help="Format of the log on stderr (default text).")
@click.option("--metrics-port", type=int, metavar="PORT", help="Also serve metrics for Prometheus, on this port.")
@served_environment_option
@click.option(
    "--stage", "stage_port", type=int, metavar="PORT", help="Also serve a preview as environment stage, on this port."
)
@click.option("--stage-source", metavar="DIR", help="Folder of the preview's sources (default: this folder).")
@click.option("--reload", is_flag=True, help="Serve changed sources as soon as they are saved.")
@click.option("--web-processes", type=int, metavar="N", help="Processes that answer HTTP (default 1).")
@click.option("--one-process", is_flag=True, help="Answer HTTP and fire timers in one process, to save memory.")
@store_option
@json_option
@nonblocking_stdio()
def command(
    *,
    target: str | None,
    stage_port: int | None,
    stage_source: str | None,
    reload: bool,
    one_process: bool,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Serve the functions over HTTP and fire their timers, until Ctrl-C.

    Without an argument, the folder's wsgi.py or cloud.py is served. Without --env, the code runs as `development` and
    the timers of both environments fire. Ctrl-C waits for runs in progress; a second one stops at once.

    Functions that are called over HTTP run in a process of their own, those of timers in worker processes.

    With --stage, the sources of --stage-source are served as environment stage, and those of this folder as production.
    """
    if one_process:
        overrides["processes"] = "one"
    if stage_port is None and stage_source is not None:
        raise click.UsageError("--stage-source needs --stage PORT")
    options = UpOptions(overrides, target, stage_port is not None, stage_source, as_json)
    project = options.project()
    log_to_stderr(project.settings)
    options.target_name(project)
    preview_source = options.preview_source(project)
    with ExitStack() as stack:
        sockets = _sockets(project, stage_port, stack)
        project.check_owner_of_keys()
        made = make_missing_keys(project.keys_file)
        options = replace(options, generated_keys=made.keys, has_made_keys=made.is_new_file)
        if project.settings.processes == "one" and not (reload or preview_source):
            from ..up.one_process import serve_alone

            raise SystemExit(serve_alone(options, sockets))
        console = bind_console(project.settings, stack)
        if console is not None:
            address = local_url(project.settings.console_host, console.getsockname()[1])
            options = replace(options, console_url=f"{address}/")
        sockets = sockets._replace(console=console)
        folders = [project.settings.folder, *([preview_source.folder] if preview_source else [])]
        raise SystemExit(supervise(options, sockets, folders if reload else []))


def _sockets(project: Project, stage_port: int | None, stack: ExitStack) -> Sockets:
    """The listening sockets; the error about a port in use says if this folder is served already."""
    try:
        return bind_sockets(project.settings, stage_port, stack)
    except ConfigError as error:
        if not (serving := serving_processes(project)):
            raise
        raise ConfigError(f"this folder is served already, by process {serving[0]}; {error}") from error
