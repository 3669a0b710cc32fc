"""The log of calls over HTTP: what their functions print is written to the store and shown on the terminal."""

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

#: How long lines are collected before they are written together.
BATCH_S = 0.2
#: How many lines are kept for a store that does not answer; the oldest are dropped.
MAX_UNWRITTEN = 10_000
_MINUTE_S, _PRUNE_EVERY_S = 60.0, 3600.0


@contextlib.contextmanager
def call_log(store: Store, project: Project, reporter: RunReporter) -> Iterator[None]:
    """Within the block, lines of calls are captured, written to the store and passed to the reporter."""
    keep = timedelta(days=project.settings.keep_days)
    writer = CallLogWriter(store, project.environment.value, keep=keep, reporter=reporter)
    try:
        with capturing(writer):
            yield
    finally:
        writer.close()


class CallLogWriter:
    """Takes lines from any thread and writes them from one of its own, so that no call waits for the store.

    All calls together may print 600 lines a minute, as on LeanEngine; further lines are counted, and the count is
    reported once a minute.
    """

    def __init__(self, store: Store, environment: str, *, keep: timedelta, reporter: RunReporter) -> None:
        self._lines = LogLines(store)
        self._environment = environment
        self._keep = keep
        self._reporter = reporter
        self._limit = LineLimit()
        self._lock = threading.Lock()
        self._new: list[LogLine] = []
        #: Reported, but not yet in the store.
        self._unwritten: list[LogLine] = []
        self._store_answers = True
        self._has_work = threading.Event()
        self._stopping = False
        self._reported_dropped = 0
        self._report_dropped_at = self._prune_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="call-log", daemon=True)
        self._thread.start()

    def __call__(self, captured: CapturedLine) -> None:
        with self._lock:
            if self._limit.allows(time.monotonic()):
                self._new.append(self._log_line(captured))
        self._has_work.set()

    def _log_line(self, captured: CapturedLine) -> LogLine:
        return LogLine(
            captured.at, captured.level, captured.text, captured.function, self._environment, captured.request_id
        )

    def close(self) -> None:
        """Write all lines, and end the thread."""
        self._stopping = True
        self._has_work.set()
        self._thread.join(_MINUTE_S)

    def _run(self) -> None:
        while not self._stopping:
            self._has_work.wait(_MINUTE_S)
            self._has_work.clear()
            if not self._stopping:
                time.sleep(BATCH_S)
            self._write(self._take_new())
            self._prune()
        # Lines that came between the last round and the end.
        self._write(self._take_new())

    def _take_new(self) -> list[LogLine]:
        with self._lock:
            taken, self._new = self._new, []
            dropped, now = self._limit.dropped - self._reported_dropped, time.monotonic()
            if dropped and (now >= self._report_dropped_at or self._stopping):
                self._reported_dropped, self._report_dropped_at = self._limit.dropped, now + _MINUTE_S
                text = f"{dropped} lines were dropped: calls may print {MAX_LINES_A_MINUTE} lines a minute"
                taken.append(self._log_line(CapturedLine(datetime.now(UTC), "warning", text, "-", "-")))
        return taken

    def _write(self, taken: list[LogLine]) -> None:
        for line in taken:
            self._reporter.line(line)
        self._unwritten = [*self._unwritten, *taken][-MAX_UNWRITTEN:]
        try:
            self._lines.add(self._unwritten)
        except StoreError as error:
            if self._store_answers:
                log.error("lines that calls print are not stored for now: %s", error)
            self._store_answers = False
            self._has_work.set()
            return
        except Exception:  # lines that the store refuses must not keep later ones out
            log.exception("%d lines that calls printed could not be stored", len(self._unwritten))
        self._unwritten, self._store_answers = [], True

    def _prune(self) -> None:
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + _PRUNE_EVERY_S
            before = datetime.now(UTC) - self._keep
            with contextlib.suppress(StoreError):
                while self._lines.prune(before=before) == PRUNE_LIMIT and not self._stopping:
                    time.sleep(BATCH_S)  # lets other writers in
