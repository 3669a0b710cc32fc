"""How a connection to the broker is opened, and how often a worker that waits for messages checks for a signal.

Lives here: what the daemon, the worker and the classes that Celery's settings name share. It imports nothing of ours.
"""

from __future__ import annotations

from typing import Any

#: How long connecting to a broker may take, and how long Redis and RabbitMQ may take to answer. A worker that has an
#: event loop keeps no limits meanwhile, and its daemon takes it for lost LOST_S after a limit (executor.py).
CONNECT_S, ANSWER_S = 4, 4
#: How often a worker that waits for messages checks whether it was asked to end: a signal does not end the wait.
SIGNAL_S = 0.25


def connect(connection: Any) -> None:
    """Open a connection of Kombu's, trying each address of the broker once; raises the transport's own errors."""
    connection.ensure_connection(max_retries=max(0, len(connection.alt) - 1), timeout=CONNECT_S)
