"""LineRelay: shows the lines of all processes that answer HTTP, and passes them on to the process with the store.

Lives here: the limit that all calls share, and the lines that wait to be stored. Messages are not trusted, because
functions run in the processes that send them. Never here: the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ..core.log_limits import MAX_LINE_LENGTH, MAX_LINES_A_MINUTE, SharedLineLimit
from ..core.log_line import LogLine
from ..core.timestamps import instant, stamp
from . import call_lines
from .run_reports import RunReporter

log = logging.getLogger("scheduler.up")

#: The most lines that wait to be stored; older ones are dropped.
MAX_UNWRITTEN = 10_000
#: The most messages that are sent but not confirmed.
_MOST_ON_THEIR_WAY = 10
_LEVELS = frozenset(("debug", "info", "warning", "error", "critical"))
_MOST_IN_A_MESSAGE, _LONGEST_NAME, _REPORT_DROPPED_EVERY_S = 100, 200, 60.0
#: The maximum age of a line when it arrives.
_OLDEST = timedelta(minutes=10)


class Storing(Protocol):
    """The process that has the store, and gets the lines."""

    def send(self, **message: Any) -> None:
        """Send a message to it."""
        ...


class LineRelay:
    """Reports the lines of calls, and keeps them until they are stored."""

    def __init__(self, reporter: RunReporter) -> None:
        self._reporter = reporter
        self._lock = threading.RLock()
        self._limit = SharedLineLimit()
        self._waiting: deque[tuple[int, list[list[Any]]]] = deque()
        self._waiting_lines = self._given_up = 0
        self._last_number = 0
        #: The process that messages were sent to, and the number of the last one.
        self._told: Storing | None = None
        self._told_up_to = 0
        #: The highest number of a sent message; no line is added to it any more.
        self._ever_told_up_to = 0
        self._report_dropped_at = 0.0
        self._environment = ""

    def take(self, message: Mapping[str, Any], environment: str) -> None:
        """Add the lines of a process for an environment; TypeError or ValueError for an invalid message."""
        lines = [call_lines.checked(values) for values in message["lines"][:_MOST_IN_A_MESSAGE]]
        dropped = {_name(function): max(0, int(count)) for function, count in dict(message["dropped"]).items()}
        with self._lock:
            for function, count in dropped.items():
                self._limit.add_dropped(function, count)
            self._environment = environment
            self._add(
                [self._kept(line) for line in lines if self._limit.allows(time.monotonic(), _name(line.function))]
            )

    def _kept(self, line: call_lines.MessageLine) -> list[Any]:
        now = datetime.now(UTC)
        at = min(max(line.at, stamp(now - _OLDEST)), stamp(now))
        level = line.level if line.level in _LEVELS else "info"
        return [at, level, line.text[:MAX_LINE_LENGTH], _name(line.function), self._environment, _name(line.request_id)]

    def report_dropped(self, *, at_the_end: bool = False) -> None:
        """Report once a minute which lines were dropped."""
        now = time.monotonic()
        with self._lock:
            if at_the_end or now >= self._report_dropped_at:
                dropped = self._limit.take_dropped()
                if dropped:
                    self._report_dropped_at = now + _REPORT_DROPPED_EVERY_S
                    text = dropped_text(dropped)
                    self._add([[stamp(datetime.now(UTC)), "warning", text, "-", self._environment, "-"]])

    def _add(self, lines: list[list[Any]]) -> None:
        if not lines:
            return
        for values in lines:
            self._reporter.line(log_line(values))
        last = self._waiting[-1] if self._waiting else None
        if last is not None and last[0] > self._ever_told_up_to and len(last[1]) < _MOST_IN_A_MESSAGE:
            last[1].extend(lines)
        else:
            self._last_number += 1
            self._waiting.append((self._last_number, lines))
        self._waiting_lines += len(lines)
        while self._waiting_lines > MAX_UNWRITTEN:
            given_up = len(self._waiting.popleft()[1])
            self._waiting_lines -= given_up
            self._given_up += given_up

    def pass_on(self, to: Storing | None) -> None:
        """Send the waiting lines to the process that has the store; None while there is none."""
        with self._lock:
            if to is not self._told:
                # Send the messages again that the last process had not confirmed.
                self._told, self._told_up_to = to, 0
            if to is None:
                return
            for number, lines in list(self._waiting)[:_MOST_ON_THEIR_WAY]:
                if number > self._told_up_to:
                    self._told_up_to = number
                    self._ever_told_up_to = max(number, self._ever_told_up_to)
                    to.send(lines=lines, number=number)

    def stored(self, number: int) -> None:
        """Forget the lines that were stored, up to the number of a message."""
        with self._lock:
            while self._waiting and self._waiting[0][0] <= number:
                self._waiting_lines -= len(self._waiting.popleft()[1])
            given_up, self._given_up = self._given_up, 0
        if given_up:
            log.error("%d lines that calls printed were not stored: the store did not take them in time", given_up)

    @property
    def is_passed_on(self) -> bool:
        """Whether all waiting lines have been sent."""
        with self._lock:
            return not self._waiting or self._waiting[-1][0] <= self._told_up_to

    def end(self) -> None:
        """Log how many lines were not stored."""
        if lost := self._waiting_lines + self._given_up:
            log.error("%d lines that calls printed are not stored", lost)


def dropped_text(dropped: Mapping[str, int]) -> str:
    """The number of dropped lines, and the function with most of them."""
    count, most = sum(dropped.values()), max(dropped, key=lambda function: dropped[function])
    of_most = f"{dropped[most]} of them of {most}, " if len(dropped) > 1 else f"of {most}, "
    return f"{count} lines were dropped, {of_most}since calls may print {MAX_LINES_A_MINUTE} lines a minute"


def log_line(values: list[Any]) -> LogLine:
    """A line as the relay passes it on."""
    at, *rest = values
    return LogLine(instant(at), *rest)


def _name(text: Any) -> str:
    return str(text)[:_LONGEST_NAME]
