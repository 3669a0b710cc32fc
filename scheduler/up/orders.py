"""What a child process does on behalf of its supervisor: it answers pings, and stops when it is told to."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .handover import Channel

_LOOK_AGAIN_S = 0.1


class Orders:
    """Follows the supervisor's messages in a thread of its own, which answers as long as this process can run Python.

    A child hears of the end from its supervisor only, once for each signal that the supervisor got. What a terminal or
    a service manager sends to all processes at once never counts as the second signal.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        #: The orders to stop so far; the first lets what is in progress end, the second stops at once.
        self.received: list[int] = []
        #: Whether another process has taken this one's place.
        self.is_retiring = False
        #: Whether this process does its work; an answer waits for that.
        self.is_alive: Callable[[], bool] = lambda: True
        #: Called for an answer to a ping, with what else is to be reported.
        self.report: Callable[[], dict[str, Any]] = dict
        #: Called with each message that is neither a ping nor an order to stop.
        self.on_message: Callable[[dict[str, Any]], None] = lambda _: None
        self._on_stop: Callable[[], None] = lambda: None
        self._started: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._may_fire = threading.Event()

    def follow(self) -> None:
        """Begin to follow; to be called before the user's code is loaded, which may change what threads are."""
        for number in (signal.SIGINT, signal.SIGHUP):
            # Not SIG_IGN: the programs that functions start would inherit it.
            signal.signal(number, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, lambda number, _frame: self._stop(number, 1))
        threading.Thread(target=self._follow, name="supervisor", daemon=True).start()

    def wait_for_start(self) -> dict[str, Any]:
        """Wait for the message that lets this process go on, and return what it says."""
        return self._started.get()

    def wait_to_fire(self) -> None:
        """Wait until this version is announced, before anything is printed of its timers; or for an order to stop."""
        # Not for an event alone: a handler of signals must not set one for which its own thread waits.
        while not self.received and not self._may_fire.wait(_LOOK_AGAIN_S):
            pass

    @contextlib.contextmanager
    def passed_to(self, on_stop: Callable[[], None]) -> Iterator[None]:
        """Within the block, `on_stop` is called after each order to stop."""
        self._on_stop = on_stop
        try:
            yield
        finally:
            self._on_stop = lambda: None

    def _follow(self) -> None:
        for message in self._channel.messages():
            if "ping" in message:
                while not self.is_alive():
                    time.sleep(_LOOK_AGAIN_S)
                self._channel.send(pong=message["ping"], **self.report())
            elif "stop" in message:
                self.is_retiring = self.is_retiring or message["stop"] == "replaced"
                self._stop(signal.SIGTERM, 2 if message["stop"] == "at once" else 1)
            elif "start" in message:
                self._started.put(message["start"])
            elif "fire" in message:
                self._may_fire.set()
            else:
                self.on_message(message)

    def _stop(self, number: int, count: int) -> None:
        while len(self.received) < count:
            self.received.append(number)
        self._on_stop()
