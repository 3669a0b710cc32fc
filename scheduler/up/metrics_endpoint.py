"""The metrics of `scheduler up`: counted in this process, served on a port of their own, by default to this machine.

Not on the engine's port, which is open to clients: they must not see the names of timers and functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine import endpoints

if TYPE_CHECKING:
    from ..metrics import Metrics


@contextlib.contextmanager
def collected_metrics() -> Iterator[Metrics]:
    """Metrics that count every call that the engine answers within the block."""
    # Imported late: it takes some hundredths of a second, and most services serve no metrics.
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


def metrics_app(metrics: Metrics) -> Any:
    """A WSGI app that answers every path with the metrics, in the format that the scraper accepts."""
    from prometheus_client import make_wsgi_app

    return make_wsgi_app(metrics.registry)
