"""scheduler worker: one worker of a Celery fleet, which runs functions for the daemons of a store."""

from __future__ import annotations

from typing import Any

import click

from ..core.timer import Environment
from ..fleet.broker import celery_app, prepare, queues
from ..formats.json import print_json_line
from ..project.project import here
from ..project.settings import LOG_FORMATS, LOG_LEVELS
from ..up.log_setup import log_to_stderr
from ..up.nonblocking_output import never_waiting
from .options import environment_option, json_option, store_option


@click.command("worker")
@click.argument("target", required=False, metavar="[CLOUD.PY|MODULE:ENGINE]")
@click.option("-c", "--concurrency", "workers", type=int, metavar="N", help="How many functions run at a time; 2.")
@click.option("--broker", metavar="URL", help="Where messages wait: pgmq:// (the store itself), amqp://…, redis://….")
@click.option("--name", "node", metavar="NAME", help="The worker's name; the host's and the process's unless set.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="From which level on to log; info unless set.")
@click.option("--log-format", type=click.Choice(LOG_FORMATS), help="How to log; text unless set.")
@environment_option
@store_option
@json_option
@never_waiting()
def command(*, target: str | None, node: str | None, as_json: bool, **options: Any) -> None:
    """Run functions that the daemons of a store publish (executor = "celery"), until Ctrl-C.

    A function is killed at its limit, with what it started. Without --env, both environments are served. Ctrl-C waits
    for functions that run; a second one ends at once.
    """
    from ..fleet.worker import serve

    place = here(**options)
    config = place.config
    log_to_stderr(config)
    with place.new_store() as store:
        app = celery_app(config.broker, store)
        prepare(config.broker, store)
        names = queues(store)
    loaded = place.deploy(place.needed_target_name(target))
    environments = [place.deployed] if place.deployed else list(Environment)
    functions = loaded.registry.names()
    if as_json:
        print_json_line({"functions": functions, "environments": environments, "workers": config.workers})
    else:
        served = " and ".join(environments)
        click.echo(f"serving {served}: {len(functions)} functions, {config.workers} at a time; Ctrl-C ends it")
    serve(
        app,
        config.store_url,
        loaded.registry,
        [names[environment] for environment in environments],
        ["--concurrency", str(config.workers), "--loglevel", config.log_level, "--hostname", node or "%d-%h"],
    )
