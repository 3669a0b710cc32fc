"""The signals that stop a service: SIGINT, SIGTERM, and the SIGHUP of a closed terminal.

The first one stops new runs and requests and waits for those in progress; the second one stops at once.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

#: The end of the message about the first signal.
SECOND_SIGNAL = "a second signal stops at once"


class StopSignals:
    """Records the stop signals of this process, in the order in which they arrive."""

    #: No other process replaces this one.
    is_retiring = False

    def __init__(self) -> None:
        self.received: list[int] = []
        self._on_signal: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def passed_to(self, on_signal: Callable[[], None]) -> Iterator[None]:
        """Within the block, record stop signals instead of ending the process, and call `on_signal`."""
        self._on_signal = on_signal
        before = {number: signal.signal(number, self._record) for number in _stop_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record(self, number: int, _frame: object) -> None:
        # Nothing else, because a handler may interrupt any line, even one that prints or holds a lock.
        # A shell may send SIGHUP too when its terminal is closed: it never counts as the second signal.
        if number != signal.SIGHUP or not self.received:
            self.received.append(number)
        self._on_signal()


def _stop_signals() -> list[signal.Signals]:
    under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if under_nohup else [signal.SIGHUP])]
