"""scheduler up: engine and daemon in one process, on one port, with one store."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from typing import Any

import click

from ..config import LOG_LEVELS
from ..daemon import Daemon
from ..engine.credentials import our_keys
from ..engine.serving import SPARE_THREADS
from ..errors import TargetError
from ..executors import Executor
from ..executors.process import ProcessExecutor
from ..history import History
from ..store import Store
from ..target import Target
from ..timer import Environment, Timer
from ..timetable import Timetable
from . import banner, keys, show
from .declared import add_missing, declared_timers
from .journal import Journal, log_to_stderr
from .place import Place, environment_option, here, json_option, printing_to_stderr, store_option
from .server import Server, listening

log = logging.getLogger("scheduler.up")


@click.command("up")
@click.argument("target", required=False, metavar="[CLOUD.PY|MODULE:ENGINE]")
@click.option("--host", help="The address to listen on; 127.0.0.1 unless set.")
@click.option("--port", type=int, help="The port to listen on; 3000 unless set, 0 takes a free one.")
@click.option("--workers", type=int, help="Worker processes kept ready for timers; 2 unless set.")
@click.option("--max-timers", type=int, metavar="N", help="Timers an environment may hold, 0 = no limit.")
@click.option("--tz", metavar="ZONE", help="The zone in which instants are shown; Asia/Shanghai unless set.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), help="From which level on to log; info unless set.")
@environment_option
@store_option
@json_option
def command(*, target: str | None, as_json: bool, **options: Any) -> None:
    """Serve the functions over HTTP and fire their timers, until Ctrl-C.

    Without an argument, the folder's wsgi.py or cloud.py is served. Without --env, the code runs as `development` and
    the timers of both environments fire. Ctrl-C waits for runs going on; a second one ends at once.
    """
    place = here(**options)
    log_to_stderr(place.config.log_level, show.zone(place.config.tz))
    raise SystemExit(_serve(place, place.needed_target_name(target), as_json=as_json))


def _serve(place: Place, target_name: str, *, as_json: bool) -> int:
    config = place.config
    with ExitStack() as stack:
        listener = stack.enter_context(listening(config.host, config.port))
        port = listener.getsockname()[1]
        os.environ["LEANCLOUD_APP_PORT"] = str(port)
        store = stack.enter_context(place.new_store())
        provided = keys.provide(place.keys_file)
        with printing_to_stderr() if as_json else nullcontext():
            loaded = place.deploy(target_name)
        added = add_missing(store, declared_timers(loaded.registry, place), quota=config.max_timers)
        keys_from = _keep_keys(place, provided)
        executor = ProcessExecutor(target_name, workers=config.workers, max_workers=config.max_workers)
        stack.callback(executor.stop)
        executor.start()
        server = Server(listener, _application(loaded), threads=_threads(loaded))
        daemon = Daemon(
            store,
            _executors(place, executor),
            keep=timedelta(days=config.keep_days),
            listener=Journal(History(store), show.zone(config.tz), as_json=as_json),
        )
        stack.enter_context(server.signals_caught())
        _announce(place, loaded, store, banner.base_url(config.host, port), keys_from, as_json=as_json)
        for timer in added:
            log.info("added the timer %r that %s declares, %s", timer.name, target_name, _state(timer))
        return server.serve_beside(daemon)


def _state(timer: Timer) -> str:
    return "enabled" if timer.enabled else "disabled; " + show.command("timers", "enable", timer.name)


def _keep_keys(place: Place, provided: dict[str, str]) -> str:
    """Keep the keys that were made up, if the engine goes by them; says where the keys come from."""
    ours = our_keys()
    used = {ours.app_id, ours.app_key, ours.master_key, ours.hook_key} & set(provided.values())
    if used:
        keys.keep(provided, place.keys_file)
        return str(place.keys_file)
    return "from the code" if provided else "from the environment"


def _executors(place: Place, executor: ProcessExecutor) -> dict[Environment, Executor]:
    """One pool of workers, for the environment that is deployed here, or for both."""
    return dict.fromkeys([place.deployed] if place.deployed else Environment, executor)


def _application(loaded: Target) -> Any:
    """What answers requests: the module's `application`, as WSGI servers look for it, else the engine."""
    named = getattr(loaded.module, "application", None)
    application = named if callable(named) else loaded.application
    if not callable(application):
        raise TargetError(f"{loaded.name} has functions but no engine to serve them; it needs: engine = Engine()")
    return application


def _threads(loaded: Target) -> int:
    return int(getattr(loaded.application, "max_concurrency", 64)) + SPARE_THREADS


def _announce(place: Place, loaded: Target, store: Store, url: str, keys_from: str, *, as_json: bool) -> None:
    names = loaded.registry.names()
    stated = banner.facts(
        place, target=loaded.name, url=url, store=str(store), keys_from=keys_from, registry=loaded.registry
    )
    function = banner.example_function(loaded.registry)
    call = banner.curl(url, our_keys(), function) if function else None
    entries = Timetable(store).list(place.deployed)
    if as_json:
        show.print_json_line({**stated, "call": call})
    else:
        banner.print_banner(stated, entries, call, place.config.tz)
    for warning in banner.lost_timers(entries, names, loaded.name):
        click.echo(f"Warning: {warning}", err=True)
