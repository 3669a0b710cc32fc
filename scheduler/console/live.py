"""Live: notifies pages of the topics that have changed. It polls the store only while there are subscriptions.

A stream has only the names of topics, no data: pages then request their parts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, func, select

from ..errors import StoreError
from ..store.database import Store
from ..store.schema import call_lines, changes, daemons, lines, runs

log = logging.getLogger("scheduler.console")

TOPICS = ("runs", "lines", "changes", "daemons")
MAX_STREAMS = 16
#: The most streams of one reader, so that no reader holds all of them. Browsers open six connections to one host.
MAX_STREAMS_OF_READER = 8
#: How often the store is looked at; a server is farther away than a file.
_LOOK_EVERY_S, _LOOK_AT_SERVER_EVERY_S = 0.5, 1.0


class TooManyStreamsError(Exception):
    """There are as many streams as threads for them, or as one reader may have."""


def _never() -> bool:
    return False


class TopicSubscription:
    """The topics that have changed since a stream last asked."""

    def __init__(self, changed: threading.Condition, reader: str = "", is_gone: Callable[[], bool] = _never) -> None:
        self._changed = changed
        self.reader, self.is_gone = reader, is_gone
        self._topics: set[str] = set()
        self._is_closed = False

    def add(self, topics: set[str]) -> None:
        """Topics that have changed; called with the condition's lock."""
        self._topics |= topics

    def close(self) -> None:
        """End the stream; called with the condition's lock."""
        self._is_closed = True

    def wait(self, timeout_s: float) -> set[str] | None:
        """The topics that have changed, possibly none after a while; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._topics or self._is_closed, timeout_s)
            topics, self._topics = self._topics, set()
            return None if self._is_closed else topics


class Live:
    """The watcher of one store; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._subscriptions: set[TopicSubscription] = set()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def streams(self) -> int:
        """The number of open streams."""
        return len(self._subscriptions)

    @contextmanager
    def subscribed(self, reader: str = "", is_gone: Callable[[], bool] = _never) -> Iterator[TopicSubscription]:
        """A subscription to all topics; TooManyStreamsError if there are too many already.

        `is_gone` returns whether the client has disconnected. It is called from other threads.
        """
        subscription = self._subscribe(reader, is_gone)
        try:
            yield subscription
        finally:
            with self._changed:
                self._subscriptions.discard(subscription)
                self._changed.notify_all()

    def _subscribe(self, reader: str, is_gone: Callable[[], bool]) -> TopicSubscription:
        with self._changed:
            if self._is_full(reader):
                self._close_gone()
            if self._is_full(reader) or self._is_closed:
                raise TooManyStreamsError
            subscription = TopicSubscription(self._changed, reader, is_gone)
            self._subscriptions.add(subscription)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="live", daemon=True)
                self._thread.start()
            return subscription

    def _is_full(self, reader: str) -> bool:
        of_reader = sum(other.reader == reader for other in self._subscriptions)
        return len(self._subscriptions) >= MAX_STREAMS or of_reader >= MAX_STREAMS_OF_READER

    def _close_gone(self) -> None:
        for subscription in [other for other in self._subscriptions if other.is_gone()]:
            subscription.close()
            self._subscriptions.discard(subscription)
        self._changed.notify_all()

    def close(self) -> None:
        """End all streams."""
        with self._changed:
            self._is_closed = True
            for subscription in self._subscriptions:
                subscription.close()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _watch(self) -> None:
        """Poll the store while there are subscriptions."""
        every_s = _LOOK_AT_SERVER_EVERY_S if self._store.has_server else _LOOK_EVERY_S
        seen = self._look({})
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or not self._subscriptions, every_s)
                if self._is_closed or not self._subscriptions:
                    self._thread = None
                    return
            now = self._look(seen)
            moved = {topic for topic in TOPICS if now[topic] != seen[topic]}
            seen = now
            if moved:
                with self._changed:
                    for subscription in self._subscriptions:
                        subscription.add(moved)
                    self._changed.notify_all()

    def _look(self, seen: dict[str, Any]) -> dict[str, Any]:
        """A sign of each topic, which differs when it has changed; while the store is away, the last one."""
        try:
            with self._store.reading() as connection:
                return _signs(connection)
        except StoreError as error:
            log.debug("the store does not answer: %s", error)
            return seen or dict.fromkeys(TOPICS)


def _signs(connection: Connection) -> dict[str, Any]:
    """The newest rows; and of the open runs, which an index contains, their number and the sum of their ids."""
    is_open = runs.c.outcome.is_(None)
    opened = select(func.count(), func.sum(runs.c.id), func.count(runs.c.owner), func.count(runs.c.started_at))
    return {
        "runs": (_newest(connection, runs.c.id), *connection.execute(opened.where(is_open)).one()),
        "lines": (_newest(connection, lines.c.id), _newest(connection, call_lines.c.id)),
        "changes": _newest(connection, changes.c.id),
        "daemons": tuple(connection.execute(select(daemons.c.id).order_by(daemons.c.id)).scalars()),
    }


def _newest(connection: Connection, ids: Any) -> int:
    return connection.execute(select(func.max(ids))).scalar() or 0
