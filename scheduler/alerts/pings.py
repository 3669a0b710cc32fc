"""Pings: the requests of heartbeats, by the protocol of Healthchecks (https://healthchecks.io/docs/http_api/).

The ping address of a timer gets `/start` when a run is handed out, and at its end a request without a suffix for
success, `/fail`, or `/log` for what is neither. One that fails is not sent again.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..core.run import Outcome
from ..errors import StoreError
from ..store.database import Store
from ..store.runs import RunHistory
from .ping_queue import PingQueue
from .requests import Requests

log = logging.getLogger("scheduler.alerts")

#: How long a ping may take.
DEADLINE_S = 5.0
#: The most bytes of a run's output that a ping carries, and the most lines.
MAX_BODY, MAX_LINES = 10_000, 100
#: How often to log that an address does not answer.
LOG_EVERY_S = 600.0
_SUFFIXES = {
    "start": "/start",
    Outcome.SUCCEEDED.value: "",
    Outcome.FAILED.value: "/fail",
    Outcome.TIMED_OUT.value: "/fail",
    Outcome.ABANDONED.value: "/fail",
}


def ping_address(url: str, suffix: str, request_id: str, attempt: int) -> str:
    """The address of a ping: the suffix behind the path, and the run as a UUID in `rid`.

    >>> ping_address("https://hc-ping.com/1234?create=1", "/fail", "00ff", 1).partition("rid=")[0]
    'https://hc-ping.com/1234/fail?create=1&'
    """
    parts = urlsplit(url)
    rid = uuid.uuid5(uuid.NAMESPACE_OID, f"{request_id}/{attempt}")
    query = f"{parts.query}&rid={rid}" if parts.query else f"rid={rid}"
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + suffix, query, ""))


class Pings:
    """Sends pings; what a daemon reports comes as values: url, what, run_id, request_id, attempt."""

    def __init__(self, requests: Requests, store: Store | None, *, allow_private: bool) -> None:
        self._requests = requests
        self._history = None if store is None else RunHistory(store)
        self._allow_private = allow_private
        self._queue = PingQueue(self._send)
        self._logged_at: dict[str, float] = {}

    @property
    def is_idle(self) -> bool:
        """Whether none is waiting or under way."""
        return self._queue.is_empty

    def add(self, ping: Mapping[str, Any]) -> None:
        """Send a ping after those of the same address; the oldest ones are dropped if there are too many."""
        self._queue.add(str(ping["url"]), ping)

    async def _send(self, url: str, ping: Mapping[str, Any]) -> float:
        """Send one; returns how many seconds the target has taken."""
        what = str(ping["what"])
        suffix, body = _SUFFIXES.get(what, "/log"), b""
        if what != "start":
            body, is_retried = await asyncio.to_thread(self._output, int(ping["run_id"]), what)
            if is_retried:
                suffix = "/log"
        begun = time.monotonic()
        answer = await self._requests.post(
            ping_address(url, suffix, str(ping["request_id"]), int(ping["attempt"])),
            body,
            {"Content-Type": "text/plain; charset=utf-8"},
            deadline_s=DEADLINE_S,
            allow_private=self._allow_private,
            hint="ping_private = true",
        )
        took_s = time.monotonic() - begun
        if not answer.is_accepted:
            self._log(url, answer.text)
        return took_s

    def _output(self, run_id: int, what: str) -> tuple[bytes, bool]:
        """The end of what a run has printed, with its error; and whether it is tried again."""
        if self._history is None:
            return what.encode(), False
        try:
            run, lines = self._history.run(run_id), self._history.lines(run_id)[-MAX_LINES:]
        except StoreError:
            return what.encode(), False
        if run is None:
            return what.encode(), False
        texts = [line.text for line in lines]
        texts += [text for text in (run.error, run.message) if text and what != Outcome.SUCCEEDED]
        body = "\n".join(texts).encode("utf-8", "replace")[-MAX_BODY:]
        # The first character may be cut.
        return body.decode("utf-8", "ignore").encode(), run.retry_at is not None

    def _log(self, url: str, error: str) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(url, float("-inf")) < LOG_EVERY_S:
            return
        if len(self._logged_at) >= 1_000:
            self._logged_at.clear()
        self._logged_at[url] = now
        # The path is the secret of the check.
        log.warning("ping_url at %s: %s", urlsplit(url).hostname, error)
