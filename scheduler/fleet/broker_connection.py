"""How a connection to the broker is opened, and how often a worker that waits for messages checks for a signal.

Lives here: what the daemon, the worker and the classes that Celery's settings name share. It imports nothing of ours.
"""

from __future__ import annotations

from typing import Any

#: How long connecting to a broker may take.
CONNECT_S = 5
#: How long Redis and RabbitMQ may take to answer; more than a blocking read of Redis takes, which is six seconds.
ANSWER_S = 10
#: How often a worker that waits for messages checks whether it was asked to end: a signal does not end the wait.
SIGNAL_S = 0.25


def connect(connection: Any) -> None:
    """Open a connection of Kombu's, trying each address of the broker once; raises the transport's own errors."""
    connection.ensure_connection(max_retries=max(0, len(connection.alt) - 1), timeout=CONNECT_S)
