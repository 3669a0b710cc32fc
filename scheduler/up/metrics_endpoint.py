"""The metrics of `scheduler up`: counted in this process, served on a port of their own, by default for this machine.

Not on the engine's port, because clients must not see the names of timers and functions.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine import endpoints
from ..engine.host import is_local

if TYPE_CHECKING:
    from ..metrics import Metrics


@contextlib.contextmanager
def collected_metrics() -> Iterator[Metrics]:
    """Within the block, metrics that count every call that the engine answers."""
    # Imported late, because it takes some hundredths of a second, and most services serve no metrics.
    from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR

    from ..metrics import Metrics

    metrics = Metrics()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        metrics.registry.register(collector)
    endpoints.watchers.append(metrics.answered)
    try:
        yield metrics
    finally:
        endpoints.watchers.remove(metrics.answered)


def metrics_app(metrics: Metrics, metrics_host: str) -> Any:
    """A WSGI app that answers every path with the metrics, in the format that the scraper accepts.

    The Host must be an address or a name of this machine, because a page in a browser could read them by its own name.
    """
    from prometheus_client import make_wsgi_app

    app, own_names = make_wsgi_app(metrics.registry), frozenset((socket.gethostname().lower(), metrics_host.lower()))

    def checked(environ: dict[str, Any], start_response: Any) -> Any:
        host = environ.get("HTTP_HOST", "localhost")
        if is_local(host, own_names):
            return app(environ, start_response)
        text = "The Host is not this machine's: use its address, its name, or the name in metrics_host.\n"
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))]
        start_response("403 Forbidden", headers)
        return [text.encode()]

    return checked
