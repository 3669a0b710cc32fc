"""The process of `scheduler up` that answers HTTP: it loads the user's functions and site, and serves them.

It knows no daemon: whatever happens to it, timers fire. The preview is such a process too, of environment stage.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from typing import Any

from ..engine import endpoints
from ..engine.credentials import our_keys
from ..functions.loading import Target
from ..project.keys import save_keys
from ..project.project import Project, printing_to_stderr
from ..store.database import Store
from ..store.declarations import Synchronised
from .announcement import report_of_functions
from .application import application, capacity
from .call_log import call_log
from .declared_timers import log_synchronised, synchronise_declared
from .handover import Channel, Handover
from .http_server import Site, UpServer
from .log_setup import json_handler
from .orders import Orders
from .request import UpRequest
from .run_reports import make_reporter

#: How many answered calls are kept for the next report.
_MOST_COUNTED = 5_000


def serve_live(handover: Handover, request: UpRequest, channel: Channel, orders: Orders) -> int:
    """Serve the live version until an order to stop; returns the exit status."""
    project = request.project()
    with ExitStack() as stack:
        store = stack.enter_context(request.open_store(project))
        store.check_writable()
        return _serve(handover, request, project, store, channel, orders, stack, logging.getLogger("scheduler.up"))


def serve_stage(handover: Handover, request: UpRequest, channel: Channel, orders: Orders) -> int:
    """Serve the preview, in the folder of its sources and with their settings, until an order to stop."""
    project = request.project()
    with ExitStack() as stack:
        store = stack.enter_context(project.open_store())
        return _serve(handover, request, project, store, channel, orders, stack, logging.getLogger("scheduler.stage"))


def _serve(
    handover: Handover,
    request: UpRequest,
    project: Project,
    store: Store,
    channel: Channel,
    orders: Orders,
    stack: ExitStack,
    logger: logging.Logger,
) -> int:
    assert handover.listener is not None
    listener = stack.enter_context(socket.socket(fileno=handover.listener))
    reporter = make_reporter(project.settings, as_json=request.as_json)
    stack.enter_context(call_log(store, project, reporter))
    target = request.target_name(project)
    loaded, done = load_and_declare(request, project, store, target, declares=handover.declares)
    keys_from = save_used_keys(project, request.generated_keys or {})
    served = application(loaded)
    channel.send(loaded=report_of_functions(loaded, keys_from))
    orders.wait_for_start()
    server = UpServer(orders, Site(listener, served), capacity=capacity(loaded))
    stack.enter_context(server.stops_recorded())
    orders.report = stack.enter_context(_calls_counted()) if handover.counts_calls else dict
    orders.is_alive = lambda: server.is_turning or bool(orders.received)
    channel.send(ready={})
    log_synchronised(done, target, logger)
    return server.serve(_Nothing())


def load_and_declare(
    request: UpRequest, project: Project, store: Store, target: str, *, declares: bool
) -> tuple[Target, Synchronised]:
    """Load the functions, and bring the timers that they declare to the store."""
    with printing_to_stderr() if request.as_json or json_handler() else nullcontext():
        loaded = project.load_to_serve(target)
    nothing = Synchronised([], [])
    return loaded, synchronise_declared(store, loaded.registry, project) if declares else nothing


def save_used_keys(project: Project, generated: Mapping[str, str]) -> str:
    """Save the generated keys if the engine uses them; returns where the keys come from."""
    ours = our_keys()
    if {ours.app_id, ours.app_key, ours.master_key, ours.hook_key} & set(generated.values()):
        save_keys(dict(generated), project.keys_file)
        return str(project.keys_file)
    return "from the code" if generated else "from the environment"


@contextlib.contextmanager
def _calls_counted() -> Iterator[Callable[[], dict[str, Any]]]:
    """Within the block, answered calls are kept for the process that serves metrics; the function takes them."""
    lock = threading.Lock()
    answered: list[tuple[str, str, int, float]] = []

    def count(endpoint: str, function: str, status: int, seconds: float) -> None:
        with lock:
            if len(answered) < _MOST_COUNTED:
                answered.append((endpoint, function, status, seconds))

    def take() -> dict[str, Any]:
        with lock:
            taken = answered[:]
            answered.clear()
        return {"answered": taken}

    endpoints.watchers.append(count)
    try:
        yield take
    finally:
        endpoints.watchers.remove(count)


class _Nothing:
    """A background service that does nothing: another process fires the timers."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def run(self) -> None:
        self._stopped.wait()

    def stop(self) -> None:
        self._stopped.set()

    def log_stopping(self, *, is_retiring: bool) -> None:
        pass

    def log_stopping_at_once(self) -> None:
        pass
