"""Orders: a child process follows its supervisor's messages: it answers pings, and stops on orders."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from .handover import Channel

_LOOK_AGAIN_S = 0.1
#: Of a process that cannot follow its orders any more. Bound here, because a function may have replaced `os`.
_UNCONTROLLED = 1
_exit, _sleep = os._exit, time.sleep


class Orders:
    """Follows the supervisor's messages in a thread of its own, and answers its pings in another while this works.

    Only the supervisor orders a child to stop, once for each signal that it received. So a signal that a terminal or a
    service manager sends to all processes at once never counts as the second one, and a function that sends one to its
    own process or to the daemon stops nothing.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        #: The orders to stop so far; after the first, work in progress may end; the second stops at once.
        self.received: list[int] = []
        #: Whether another process has replaced this one.
        self.is_retiring = False
        #: Whether this process is working; otherwise it does not answer pings.
        self.is_alive: Callable[[], bool] = lambda: True
        #: Puts back what functions have broken in this process; called before each message is parsed.
        self.restore: Callable[[], object] = lambda: None
        #: Returns further values for the answer to a ping.
        self.report: Callable[[], dict[str, Any]] = dict
        #: Called with each message that is neither a ping nor an order to stop.
        self.on_message: Callable[[dict[str, Any]], None] = lambda _: None
        self._on_stop: Callable[[], None] = lambda: None
        self._started: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._may_fire = threading.Event()
        self._pings: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def follow(self) -> None:
        """Begin to follow; call it before loading the user's code, which may patch threads."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Not SIG_IGN, because programs that functions start would inherit it.
            signal.signal(number, lambda _number, _frame: None)
        for target in (self._follow, self._answer):
            threading.Thread(target=_or_exit, args=(target,), name="supervisor", daemon=True).start()

    def wait_for_start(self) -> dict[str, Any]:
        """Wait for the message that lets this process go on, and return its contents."""
        return self._started.get()

    def wait_to_fire(self) -> None:
        """Wait until this version is announced, so that its timers print nothing before; or for an order to stop."""
        # Not on the event only, because a signal handler must not set an event for which its own thread waits.
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

    def _answer(self) -> None:
        """Answer each ping once this process works: orders to stop are followed meanwhile."""
        while True:
            ping = self._pings.get()
            while not self._is_well():
                _sleep(_LOOK_AGAIN_S)
            self._channel.send(pong=ping, **self.report())

    def _is_well(self) -> bool:
        try:
            return self.is_alive()
        except Exception:
            # A function has replaced something that this needs.
            return False

    def _follow(self) -> None:
        for message in self._channel.messages(self._before_each):
            if "ping" in message:
                self._pings.put(message["ping"])
            elif "stop" in message:
                self.is_retiring = self.is_retiring or message["stop"] == "replaced"
                self._stop(2 if message["stop"] == "at once" else 1)
            elif "start" in message:
                self._started.put(message["start"])
            elif "fire" in message:
                self._may_fire.set()
            else:
                self.on_message(message)

    def _before_each(self) -> None:
        self.restore()

    def _stop(self, count: int) -> None:
        while len(self.received) < count:
            self.received.append(signal.SIGTERM)
        self._on_stop()


def _or_exit(follow: Callable[[], None]) -> None:
    """Follow the supervisor; end the process if that fails, because no order could stop it."""
    try:
        follow()
    except OSError:
        # A function has closed the channel. The supervisor notices that, replaces this process and kills it.
        return
    except BaseException:
        with contextlib.suppress(BaseException):
            traceback.print_exc()
        _exit(_UNCONTROLLED)
