"""The metrics of `scheduler up`: counted in this process, served on a port of their own, on this machine alone.

Not on the engine's port: that one faces strangers, and the names of timers and functions are not theirs to know.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..engine import endpoints

if TYPE_CHECKING:
    from ..metrics import Metrics


@contextlib.contextmanager
def measuring() -> Iterator[Metrics]:
    """Metrics that are told, within the block, of every call that the engine answers."""
    # Costs some hundredths of a second to import, and most services are started without.
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
    """What answers a scrape: every path has the metrics, in the format that was asked for."""
    from prometheus_client import make_wsgi_app

    return make_wsgi_app(metrics.registry)
