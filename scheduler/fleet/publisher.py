"""Publisher: sends messages to the broker in order, on its own thread; while the broker does not answer, they wait."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..clock import SystemClock
from ..core.run import Task
from ..store.outage import Outage
from .broker_connection import CONNECT_S, connect
from .message import TASK, arguments, hard_limit_s

if TYPE_CHECKING:
    from celery import Celery  # type: ignore[import-untyped, import-not-found, unused-ignore]

log = logging.getLogger("scheduler.executor")

#: How long to wait before trying again to publish when the broker did not answer.
RETRY_S = 0.5
#: How long `stop` waits for what is still to be published.
STOP_S = 2.0


class Publisher:
    """The publisher of one executor; `queues` are the names by environment, `channel` is notified of endings."""

    def __init__(self, app: Celery, queues: Mapping[str, str], channel: str) -> None:
        self._app = app
        self._queues = queues
        self._channel = channel
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        #: The runs of messages that were sent again, until the executor reads them.
        self._sent_again: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._producer: Any = None
        self._outage = Outage("the broker", log, SystemClock(), retry_s=RETRY_S)
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    def put(self, chunk: Sequence[Task]) -> None:
        """Send tasks of one environment and limit as one message."""
        self._jobs.put(lambda: self._send(chunk))

    def put_again(self, chunks: Sequence[Sequence[Task]]) -> None:
        """Send messages again, except where the queue holds messages: those of these tasks may be among them."""
        self._jobs.put(lambda: self._send_again(chunks))

    def published_again(self) -> list[int]:
        """The runs of the messages that were sent again since the last call."""
        return [self._sent_again.get_nowait() for _ in range(self._sent_again.qsize())]

    def stop(self) -> None:
        """Send the remaining messages, unless the broker does not answer."""
        self._stopping = True
        self._jobs.put(None)
        self._thread.join(STOP_S)

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            while not self._try(job) and not self._stopping:
                time.sleep(RETRY_S)
        if self._producer is not None:
            with contextlib.suppress(Exception):
                # An orderly close, so that the last messages arrive.
                self._producer.connection.release()

    def _next_job(self) -> Callable[[], None] | None:
        """The next job; meanwhile, an outage of the broker ends when it has answered for long enough."""
        while (over_in_s := self._outage.over_in_s) is not None:
            with contextlib.suppress(queue.Empty):
                return self._jobs.get(timeout=over_in_s + 0.01)
            self._outage.answered()
        return self._jobs.get()

    def _try(self, job: Callable[[], None]) -> bool:
        was_connected = self._producer is not None
        try:
            job()
        except Exception as error:  # each transport has errors of its own
            self._disconnect()
            if was_connected:
                # The connection may have been lost long ago, so try once more with a new one.
                return self._try(job)
            self._outage.failed(f"the broker does not answer ({str(error) or type(error).__name__})")
            return False
        self._outage.answered()
        return True

    def _send(self, chunk: Sequence[Task]) -> None:
        first = chunk[0]
        self._app.send_task(
            TASK,
            arguments(chunk, self._channel),
            producer=self._connected(),
            queue=self._queues[first.environment],
            time_limit=hard_limit_s(first.limit_s, len(chunk)),
            ignore_result=True,
            retry=False,
        )

    def _send_again(self, chunks: Sequence[Sequence[Task]]) -> None:
        if not self._jobs.empty():
            return
        has_messages = {
            name: self._has_messages(self._queues[name]) for name in {chunk[0].environment for chunk in chunks}
        }
        for chunk in chunks:
            if not has_messages[chunk[0].environment]:
                self._send(chunk)
                for task in chunk:
                    self._sent_again.put(task.run_id)

    def _has_messages(self, queue: str) -> bool:
        """Whether messages wait in a queue; False if the broker has deleted it because it is empty."""
        producer = self._connected()
        try:
            return bool(producer.channel.queue_declare(queue, passive=True).message_count)
        except producer.connection.channel_errors:
            self._disconnect()
            return False

    def _connected(self) -> Any:
        if self._producer is None:
            connection = self._app.connection_for_write()
            connect(connection)
            self._producer = self._app.amqp.Producer(connection, auto_declare=False)
        return self._producer

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(Exception):
                # Not an orderly close, which would wait for the broker.
                producer.connection.collect(CONNECT_S)
