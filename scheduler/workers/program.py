"""The program of a worker process: load the user's functions, then run what the daemon sends, one at a time.

Started by executors/process.py as `python -m scheduler.workers.program`. How a function is called, and what it prints
is caught, holds for the workers of a fleet too (celery_worker.py).
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..core.breaker import Verdict
from ..core.log_limits import LineCutter, LineLimit
from ..core.run import Outcome
from ..core.timestamps import instant
from ..errors import LeanCloudError, LeanEngineError, SchedulerError
from ..executors import outcome
from ..functions.calling import invoke
from ..functions.context import Call, TimerCall, current_call
from ..functions.loading import load
from ..functions.registry import Registry
from ..functions.tracebacks import from_users_frame
from . import process_tree, protocol

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Bytes that are read as text at once.
_PIECE = 65_536


class Voice:
    """What a run prints, line by line and at once, so that a killed run has its lines on record."""

    def __init__(self, send: Callable[[int, int, str, str], object]) -> None:
        #: Takes the run's id, the instant, the level and the text.
        self._send = send
        self._run_id = 0
        self._limit = LineLimit()
        #: Whether anything was written since the last run.
        self.has_text = False
        self.out = Stream(self, "info")
        self.err = Stream(self, "error")

    def begin(self, run_id: int) -> None:
        self._run_id, self._limit = run_id, LineLimit()

    def end(self) -> int:
        """Send unfinished lines; returns how many lines of the run were dropped."""
        if not (self.has_text or sys.stdout is not self.out or sys.stderr is not self.err):
            self._run_id = 0
            return self._limit.dropped
        self.has_text = False
        for stream in (sys.stdout, sys.stderr):
            # The sources may have put wrappers of their own around ours, which hold text back.
            with contextlib.suppress(Exception):
                stream.flush()
        self.out.finish()
        self.err.finish()
        self._run_id = 0
        return self._limit.dropped

    def say(self, level: str, text: str) -> None:
        if self._limit.allows(time.monotonic()):
            self._send(self._run_id, now(), level, text.encode("utf-8", "replace").decode())


class Bytes(io.RawIOBase):
    """What is below a Stream, its `buffer`: takes bytes, and whatever they are, they become lines."""

    def __init__(self, voice: Voice, level: str) -> None:
        self._voice = voice
        self._cutter = LineCutter(lambda text: voice.say(level, text))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: ReadableBuffer) -> int:
        self._voice.has_text = True
        with memoryview(data).cast("B") as view:
            # A line may have a gigabyte: it is not copied as a whole.
            for start in range(0, len(view), _PIECE):
                self._cutter.feed(self._decoder.decode(view[start : start + _PIECE]))
            return len(view)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """A wrapper that somebody puts around this closes it when it goes; the next run prints all the same."""

    def finish(self) -> None:
        self._cutter.feed(self._decoder.decode(b"", final=True))
        self._cutter.finish()


class Stream(io.TextIOWrapper):
    """Takes the place of sys.stdout or sys.stderr; may be reconfigured, and its `buffer` wrapped, as theirs may."""

    def __init__(self, voice: Voice, level: str) -> None:
        self._bytes = Bytes(voice, level)
        super().__init__(self._bytes, encoding="utf-8", errors="replace", write_through=True)  # type: ignore[arg-type]

    def finish(self) -> None:
        self.flush()
        self._bytes.finish()


class Handler(logging.Handler):
    """Log records of a function become lines with their level."""

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        for text in self.format(record).splitlines():
            self._voice.say(record.levelname.lower(), text)


def main() -> None:
    """Serve until the daemon closes the channel."""
    target, tasks_fd, results_fd, progress_fd, lifeline = sys.argv[1], *map(int, sys.argv[2:6])
    process_tree.die_with_parent(lifeline)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tasks, results = socket.socket(fileno=tasks_fd), socket.socket(fileno=results_fd)
    for descriptor in (tasks_fd, results_fd, progress_fd, lifeline):
        os.set_inheritable(descriptor, False)
    voice = Voice(lambda *line: results.send(protocol.pack((protocol.LINE, *line))))
    sys.stdout, sys.stderr = voice.out, voice.err
    try:
        registry = load(target).registry
    except SchedulerError as error:
        results.send(protocol.pack((protocol.BROKEN, str(error)[: outcome.MAX_SHOWN])))
        return
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(Handler(voice))
    results.send(protocol.pack((protocol.READY,)))
    _serve(tasks, results, protocol.ProgressCell(progress_fd), registry, voice)


def _serve(
    tasks: socket.socket, results: socket.socket, progress: protocol.ProgressCell, registry: Registry, voice: Voice
) -> None:
    own_pid = os.getpid()
    while message := tasks.recv(protocol.MAX_MESSAGE):
        chunk, orders = protocol.chunk_number(message), protocol.orders_in(message)
        if chunk == protocol.REHEARSAL:
            _rehearse(orders, voice)
            continue
        for index, order in enumerate(orders):
            if progress.is_revoked(chunk):
                break
            progress.begin(chunk, index, time.monotonic())
            started_at, ended_at, *story = run_order(registry, voice, order)
            if os.getpid() != own_pid:
                # A function forked, and both sides returned: there is one worker, not two.
                os._exit(0)
            if story == _NOTHING_TO_TELL:
                progress.end(chunk, index, started_at, ended_at)
            else:
                results.send(protocol.pack((protocol.END, chunk, index, started_at, ended_at, *story)))
        results.send(protocol.pack((protocol.DONE, chunk)))


def _rehearse(orders: list[protocol.Order], voice: Voice) -> None:
    """Do all that running these takes, but for calling functions: a processor that slept is three times as slow."""
    for order in orders:
        run_order(_STAGE, voice, order._replace(run_id=0, params="{}"))


class _Stage(Registry):
    """Has a function of every name, which does nothing."""

    def get(self, _: str) -> Callable[..., Any]:
        return _nothing


def _nothing() -> None:
    pass


_STAGE = _Stage()
_NOTHING_TO_TELL = [Outcome.SUCCEEDED.value, Verdict.GOOD.value, None, None, 0]


def run_order(registry: Registry, voice: Voice, order: protocol.Order) -> tuple[Any, ...]:
    """Run one task: started_at, ended_at, outcome, verdict, error, result, lines_dropped."""
    voice.begin(order.run_id)
    call = Call(
        function=order.function,
        request_id=order.request_id,
        deadline=time.monotonic() + order.limit_s,
        timer=TimerCall(order.timer, instant(order.fire_at), order.attempt, order.past_due),
    )
    started_at = now()
    story = copy_context().run(_call, registry, voice, order, call)
    return started_at, now(), *story, voice.end()


def _call(
    registry: Registry, voice: Voice, order: protocol.Order, call: Call
) -> tuple[str, str, str | None, str | None]:
    """Call the function; the words of how it ended."""
    current_call.set(call)
    end = outcome.of_call(lambda: _invoke(registry, order))
    if end.verdict is Verdict.NEUTRAL:
        voice.say("warning", str(end.error))
    return end.outcome.value, end.verdict.value, end.error, end.result


def _invoke(registry: Registry, order: protocol.Order) -> Any:
    try:
        return invoke(registry.get(order.function), json.loads(order.params) if order.params != "{}" else {})
    except (LeanEngineError, LeanCloudError, SchedulerError):
        raise
    except BaseException as error:
        _report(error)
        raise


def _report(error: BaseException) -> None:
    """The traceback goes to the run's lines, from the user's frame on."""
    try:
        text = "".join(traceback.format_exception(from_users_frame(error)))
    except Exception as another:
        text = f"{type(error).__name__}, whose text raises {type(another).__name__}\n"
    sys.stderr.write(text)


def now() -> int:
    """The time, in microseconds since 1970."""
    return time.time_ns() // 1000


if __name__ == "__main__":
    main()
