"""Opens connections to the broker; the time limits that daemon and workers share.

Used by the daemon, the worker and the classes that Celery's settings name. It imports nothing of this package.
"""

from __future__ import annotations

from typing import Any

#: How long connecting to a broker may take, and how long Redis and RabbitMQ may take to answer. A worker with an event
#: loop enforces no limits meanwhile, and its daemon counts it as lost LOST_S after a limit (executor.py).
CONNECT_S, ANSWER_S = 4, 4
#: How often a worker that waits for messages checks for a signal to end, because a signal does not end the wait.
SIGNAL_S = 0.25


def connect(connection: Any) -> None:
    """Open a connection of Kombu's, trying each address of the broker once; raises the transport's own errors."""
    connection.ensure_connection(max_retries=max(0, len(connection.alt) - 1), timeout=CONNECT_S)
