"""The process of `scheduler up` that answers HTTP: it loads the user's functions and site, and serves them.

It is independent of the daemon: whatever happens to it, timers fire. It has no store, so a function that writes to
descriptors that are not its own cannot damage one. The preview is such a process too, of environment stage.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from ..engine import capture, endpoints
from ..engine.credentials import keep_keys, our_keys
from ..functions.declarations import as_data, read_declarations
from ..functions.loading import Target
from ..project.keys import remove_unused_keys, save_keys
from ..project.project import Project, printing_to_stderr
from .announcement import report_of_functions
from .application import application, capacity
from .call_lines import as_message, call_lines
from .handover import Channel, Handover
from .http_server import Site, UpServer
from .log_setup import json_handler
from .options import UpOptions
from .orders import Orders
from .raw_output import raw_output_as_lines
from .self_check import SelfCheck
from .shared_state import SharedState

#: The most answered calls that are kept for the next report.
_MOST_COUNTED = 5_000


def serve(handover: Handover, options: UpOptions, channel: Channel, orders: Orders) -> int:
    """Serve until an order to stop; a preview in the folder of its sources. Returns the exit status."""
    project = options.project()
    with ExitStack() as stack:
        assert handover.listener is not None
        listener = stack.enter_context(socket.socket(fileno=handover.listener))
        to_stderr = options.as_json or json_handler() is not None
        stack.enter_context(raw_output_as_lines(handover.raw, to_stderr=to_stderr))
        stack.enter_context(_lines_sent(channel))
        loaded, declared = load_and_declare(options, project, options.target_name(project))
        keys_from = save_used_keys(project, options)
        keep_keys()
        served = SelfCheck(application(loaded), loaded.application)
        shared = SharedState()
        channel.send(loaded=report_of_functions(loaded, keys_from, declared))
        orders.wait_for_start()
        server = UpServer(orders, Site(listener, served), capacity=capacity(loaded))
        stack.enter_context(server.stops_recorded())
        orders.report = stack.enter_context(_calls_counted()) if handover.counts_calls else dict
        orders.restore = shared.restore
        orders.is_alive = lambda: (
            bool(orders.received) or (shared.is_restored and server.can_accept and served.passes(server.serve_own))
        )
        channel.send(ready={})
        return server.serve(_Nothing())


def _lines_sent(channel: Channel) -> AbstractContextManager[None]:
    """Within the block, send the lines of calls to the supervisor."""
    return call_lines(
        lambda batch: channel.send(**as_message(batch)), lambda batch: channel.send_at_once(**as_message(batch))
    )


def load_and_declare(options: UpOptions, project: Project, target: str) -> tuple[Target, dict[str, Any]]:
    """Load the functions and their declared timers."""
    with printing_to_stderr() if options.as_json or json_handler() else nullcontext():
        loaded = project.load_to_serve(target)
    capture.settle_streams()
    declared = read_declarations(loaded.registry, project.environment, project.settings.default_zone)
    return loaded, as_data(declared)


def save_used_keys(project: Project, options: UpOptions) -> str:
    """Save the generated keys if the engine uses them; returns the origin of the keys."""
    ours, generated = our_keys(), dict(options.generated_keys or {})
    if {ours.app_id, ours.app_key, ours.master_key, ours.hook_key} & set(generated.values()):
        save_keys(generated, project.keys_file)
        return str(project.keys_file)
    if options.has_made_keys:
        remove_unused_keys(project.keys_file, generated)
    return "from the code" if generated else "from the environment"


@contextlib.contextmanager
def _calls_counted() -> Iterator[Callable[[], dict[str, Any]]]:
    """Within the block, collect answered calls for the metrics; yields the function that returns and clears them."""
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
