"""Writes down what functions print that are called over HTTP: in the store, and on the terminal of `up`."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ..core.log_limits import MAX_LINES_A_MINUTE, LineLimit
from ..engine.capture import CapturedLine, capturing
from ..errors import StoreError
from ..project.project import Project
from ..store.database import Store
from ..store.log_lines import PRUNE_LIMIT, LogLine, LogLines
from .run_reports import RunReporter

log = logging.getLogger("scheduler.up")

#: How long lines are gathered before they are written together.
GATHER_S = 0.2
#: How many lines wait at most for a store that does not answer; the oldest are forgotten.
MOST_WAITING = 10_000
_MINUTE_S, _PRUNE_EVERY_S = 60.0, 3600.0


class CallLogWriter:
    """Takes lines from any thread and writes them from one of its own, so that no call waits for the store.

    All calls together may print 600 lines a minute, as on LeanEngine; what is over that is counted and told of.
    """

    def __init__(self, store: Store, environment: str, *, keep: timedelta, teller: RunReporter) -> None:
        self._lines = LogLines(store)
        self._environment = environment
        self._keep = keep
        self._teller = teller
        self._limit = LineLimit()
        self._lock = threading.Lock()
        self._said: list[LogLine] = []
        #: Shown, but not yet kept.
        self._waiting: list[LogLine] = []
        self._is_answered = True
        self._there_is_more = threading.Event()
        self._stopping = False
        self._told = 0
        self._tell_at = self._prune_at = time.monotonic()
        self._thread = threading.Thread(target=self._write, name="scribe", daemon=True)
        self._thread.start()

    def __call__(self, said: CapturedLine) -> None:
        with self._lock:
            if self._limit.allows(time.monotonic()):
                self._said.append(self._line(said))
        self._there_is_more.set()

    def _line(self, said: CapturedLine) -> LogLine:
        return LogLine(said.at, said.level, said.text, said.function, self._environment, said.request_id)

    def close(self) -> None:
        """Write what is waiting, and end."""
        self._stopping = True
        self._there_is_more.set()
        self._thread.join(_MINUTE_S)

    def _write(self) -> None:
        while not self._stopping:
            self._there_is_more.wait(_MINUTE_S)
            self._there_is_more.clear()
            if not self._stopping:
                time.sleep(GATHER_S)
            self._write_down(self._taken())
            self._prune()
        # What was printed since the last look, when the end came in between.
        self._write_down(self._taken())

    def _taken(self) -> list[LogLine]:
        with self._lock:
            taken, self._said = self._said, []
            dropped, now = self._limit.dropped - self._told, time.monotonic()
            if dropped and (now >= self._tell_at or self._stopping):
                self._told, self._tell_at = self._limit.dropped, now + _MINUTE_S
                text = f"{dropped} lines were dropped: calls may print {MAX_LINES_A_MINUTE} lines a minute"
                taken.append(self._line(CapturedLine(datetime.now(UTC), "warning", text, "-", "-")))
        return taken

    def _write_down(self, taken: list[LogLine]) -> None:
        for line in taken:
            self._teller.line(line)
        self._waiting = [*self._waiting, *taken][-MOST_WAITING:]
        try:
            self._lines.keep(self._waiting)
        except StoreError as error:
            if self._is_answered:
                log.error("what calls print is not kept for now: %s", error)
            self._is_answered = False
            self._there_is_more.set()
            return
        except Exception:  # lines that no store takes must not keep later ones out
            log.exception("%d lines that calls printed could not be kept", len(self._waiting))
        self._waiting, self._is_answered = [], True

    def _prune(self) -> None:
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + _PRUNE_EVERY_S
            before = datetime.now(UTC) - self._keep
            with contextlib.suppress(StoreError):
                while self._lines.prune(before=before) == PRUNE_LIMIT and not self._stopping:
                    time.sleep(GATHER_S)  # the store has other writers


@contextlib.contextmanager
def writing_down(store: Store, project: Project, teller: RunReporter) -> Iterator[None]:
    """Within the block, what calls print is kept in the store and shown."""
    settings = project.settings
    scribe = CallLogWriter(
        store,
        project.environment.value,
        keep=timedelta(days=settings.keep_days),
        teller=teller,
    )
    try:
        with capturing(scribe):
            yield
    finally:
        scribe.close()
