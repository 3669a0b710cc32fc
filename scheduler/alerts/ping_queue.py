"""PingQueue: the pings that wait, and which may be sent at once, so that a host that does not answer delays no other.

Those of one address are sent in order, and those of one host a few at a time. A host that answers slowly, or not at
all, gets one at a time, from a share for such hosts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

#: The most pings of one address that wait.
MAX_WAITING = 100
#: The most that are sent at once to all hosts that answer, and to all slow ones.
MAX_AT_ONCE, MAX_SLOW_AT_ONCE = 100, 50
#: The most that are sent at once to a host that has answered, to one that was not tried yet, and to a slow one.
HOST_AT_ONCE, NEW_HOST_AT_ONCE, SLOW_HOST_AT_ONCE = 20, 5, 1
#: An answer that takes longer than this makes a host slow.
SLOW_S = 2.5
#: The most hosts whose speed is remembered.
MAX_HOSTS = 10_000

Ping = Mapping[str, Any]


@dataclass(eq=False, slots=True)
class _Host:
    """A host and its port: the addresses of which a ping waits, and how many pings may be under way."""

    at_once: int = NEW_HOST_AT_ONCE
    sending: int = 0
    ready: deque[str] = field(default_factory=deque)

    @property
    def is_slow(self) -> bool:
        return self.at_once == SLOW_HOST_AT_ONCE

    @property
    def is_idle(self) -> bool:
        return not self.sending and not self.ready

    def answered_after(self, seconds: float) -> None:
        self.at_once = SLOW_HOST_AT_ONCE if seconds >= SLOW_S else HOST_AT_ONCE


class PingQueue:
    """Calls `send(url, ping)` for each ping, which returns how many seconds the host has taken."""

    def __init__(self, send: Callable[[str, Ping], Awaitable[float]]) -> None:
        self._send = send
        self._waiting: dict[str, deque[Ping]] = {}
        self._hosts: dict[str, _Host] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots, self._slow_slots = asyncio.Semaphore(MAX_AT_ONCE), asyncio.Semaphore(MAX_SLOW_AT_ONCE)

    @property
    def is_empty(self) -> bool:
        """Whether no ping is waiting or under way."""
        return not self._waiting

    def add(self, url: str, ping: Ping) -> None:
        """Send a ping after those of the same address; the oldest ones are dropped if there are too many."""
        if (waiting := self._waiting.get(url)) is not None:
            waiting.append(ping)
            return
        self._waiting[url] = deque([ping], maxlen=MAX_WAITING)
        host = self._host(url)
        host.ready.append(url)
        self._begin(host)

    def _host(self, url: str) -> _Host:
        name = urlsplit(url).netloc.rpartition("@")[2]
        if name not in self._hosts and len(self._hosts) >= MAX_HOSTS:
            self._hosts = {name: host for name, host in self._hosts.items() if not host.is_idle}
        return self._hosts.setdefault(name, _Host())

    def _begin(self, host: _Host) -> None:
        """Begin to send what the host may get now."""
        while host.ready and host.sending < host.at_once:
            host.sending += 1
            task = asyncio.get_running_loop().create_task(self._send_next(host, host.ready.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_next(self, host: _Host, url: str) -> None:
        waiting = self._waiting[url]
        try:
            async with self._slow_slots if host.is_slow else self._slots:
                host.answered_after(await self._send(url, waiting.popleft()))
        finally:
            host.sending -= 1
            if waiting:
                host.ready.append(url)
            else:
                del self._waiting[url]
            task = asyncio.current_task()
            # A loop that ends cancels all; what began now it would leave unfinished.
            if task is None or not task.cancelling():
                self._begin(host)
