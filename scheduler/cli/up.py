"""scheduler up: engine and daemon in one process, on one port, with one store."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from ..project.preview_sources import PreviewSource
from ..project.project import current_project
from ..project.settings import EXECUTORS, LOG_FORMATS, LOG_LEVELS
from ..up.handover import taken
from ..up.log_setup import log_to_stderr
from ..up.nonblocking_output import never_waiting
from ..up.reload import supervise
from ..up.service import Plan, _listening, _live, _serve, _taken_over
from .options import environment_option, json_option, store_option


@click.command("up")
@click.argument("target", required=False, metavar="[CLOUD.PY|MODULE:ENGINE]")
@click.option("--host", help="The address to listen on; 127.0.0.1 unless set.")
@click.option("--port", type=int, help="The port to listen on; 3000 unless set, 0 takes a free one.")
@click.option("--workers", type=int, help="Worker processes kept ready for timers; 2 unless set.")
@click.option("--executor", type=click.Choice(EXECUTORS), help="Where timers' functions run; process unless set.")
@click.option("--broker", metavar="URL", help="Of a Celery fleet: pgmq:// (the store itself), amqp://…, redis://….")
@click.option("--remote-engine", metavar="URL", help="The engine that is called over HTTP, of the executor http.")
@click.option("--max-timers", type=int, metavar="N", help="Timers an environment may hold, 0 = no limit.")
@click.option("--tz", metavar="ZONE", help="The zone in which instants are shown; Asia/Shanghai unless set.")
@click.option("--keep-days", type=int, metavar="N", help="Days that runs and log lines are kept; 30 unless set.")
@click.option("--keep-runs", type=int, metavar="N", help="Latest runs kept of each timer; 0, which is all, unless set.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="From which level on to log; info unless set.")
@click.option("--log-format", type=click.Choice(LOG_FORMATS), help="How to log; text unless set.")
@click.option("--metrics-port", type=int, metavar="PORT", help="Serve metrics for Prometheus there; off unless set.")
@environment_option
@click.option("--stage", "stage_port", type=int, metavar="PORT", help="Serve a preview too, environment stage, there.")
@click.option("--stage-source", metavar="DIR", help="The folder of the preview's sources; this one unless set.")
@click.option("--reload", is_flag=True, help="Take over changes of the sources when they are saved.")
@store_option
@json_option
@never_waiting()
def command(
    *,
    target: str | None,
    stage_port: int | None,
    stage_source: str | None,
    reload: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Serve the functions over HTTP and fire their timers, until Ctrl-C.

    Without an argument, the folder's wsgi.py or cloud.py is served. Without --env, the code runs as `development` and
    the timers of both environments fire. Ctrl-C waits for runs going on; a second one ends at once.

    With --stage, this is production, and a second process serves the sources of --stage-source as environment stage.
    """
    given = taken()
    project = current_project(**options)
    log_to_stderr(project.settings)
    if stage_port is not None:
        project = _live(project)
    elif stage_source is not None:
        raise click.UsageError("--stage-source goes with --stage PORT")
    source = PreviewSource.find(project, stage_source, target) if stage_port is not None else None
    plan = Plan(project, project.required_target_name(target), source, as_json)
    with ExitStack() as stack:
        sockets = _taken_over(given, stack) if given else _listening(project, stage_port, stack)
        if reload and given is None:
            folders = [project.settings.folder, *([source.folder] if source else [])]
            raise SystemExit(supervise(folders, *sockets))
        raise SystemExit(_serve(plan, sockets, given))
