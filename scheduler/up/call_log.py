"""Writes the lines of calls over HTTP into the store, and prunes them, in the process that has the store."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ..core.log_line import LogLine
from ..errors import StoreError
from ..project.project import Project
from ..store.database import Store
from ..store.log_lines import PRUNE_LIMIT, LogLines
from .call_lines import BATCH_S, LineBatch, as_message, call_lines
from .line_relay import LineRelay, log_line
from .run_reports import RunReporter

log = logging.getLogger("scheduler.up")

_MINUTE_S, _PRUNE_EVERY_S = 60.0, 3600.0


@contextlib.contextmanager
def call_log(store: Store, project: Project) -> Iterator[CallLogWriter]:
    """Within the block, a thread writes the lines of calls."""
    writer = CallLogWriter(store, keep=timedelta(days=project.settings.keep_days))
    try:
        yield writer
    finally:
        writer.close()


@contextlib.contextmanager
def own_lines(writer: CallLogWriter, reporter: RunReporter, environment: str) -> Iterator[None]:
    """Within the block, capture the lines of calls in this process, report them, and write them into the store."""
    here = _Here(writer, reporter, environment)
    with call_lines(here.take):
        yield
    here.finish()


class _Here:
    """The relay of a process that has the store itself."""

    def __init__(self, writer: CallLogWriter, reporter: RunReporter, environment: str) -> None:
        self._writer = writer
        self._environment = environment
        self._relay = LineRelay(reporter)

    def take(self, batch: LineBatch) -> None:
        self._relay.take(as_message(batch), self._environment)
        self._relay.report_dropped()
        self._relay.pass_on(self)

    def send(self, **message: Any) -> None:
        self._writer.add(message["lines"], partial(self._stored, message["number"]))

    def _stored(self, number: int) -> None:
        self._relay.stored(number)
        self._relay.pass_on(self)

    def finish(self) -> None:
        self._relay.report_dropped(at_the_end=True)
        self._relay.pass_on(self)


class CallLogWriter:
    """Writes lines on a thread of its own, because the store may not answer for a while."""

    def __init__(self, store: Store, *, keep: timedelta) -> None:
        self._lines = LogLines(store)
        self._keep = keep
        self._lock = threading.Lock()
        self._unwritten: list[tuple[Sequence[LogLine], Callable[[], object]]] = []
        self._store_answers = True
        self._has_work = threading.Event()
        self._stopping = False
        self._prune_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="call-log", daemon=True)
        self._thread.start()

    def add(self, lines: Sequence[list[Any]], stored: Callable[[], object]) -> None:
        """Add lines to write; calls `stored` once they are written."""
        with self._lock:
            self._unwritten.append(([log_line(values) for values in lines], stored))
        self._has_work.set()

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
            try:
                self._write()
                self._prune()
            except Exception:  # if the thread ended here, no later line would be written
                log.exception("unexpected error in the log of calls; continuing")
        # Lines that were added after the last round, and lines that then had room.
        while self._write():
            pass

    def _write(self) -> bool:
        """Write the waiting lines; returns whether there were any, and they were written."""
        with self._lock:
            taken = list(self._unwritten)
        if not taken:
            return False
        lines = [line for some, _ in taken for line in some]
        try:
            self._lines.add(lines)
        except StoreError as error:
            if self._store_answers:
                log.error("lines that calls print are not stored for now: %s", error)
            self._store_answers = False
            self._has_work.set()
            return False
        except Exception:  # lines that the store refuses must not stop later ones
            log.exception("%d lines that calls printed could not be stored", len(lines))
        self._store_answers = True
        with self._lock:
            del self._unwritten[: len(taken)]
        for _, stored in taken:
            stored()
        return True

    def _prune(self) -> None:
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + _PRUNE_EVERY_S
            before = datetime.now(UTC) - self._keep
            with contextlib.suppress(StoreError):
                while self._lines.prune(before=before) == PRUNE_LIMIT and not self._stopping:
                    time.sleep(BATCH_S)  # lets other writers in
