"""WorkerProcess: the daemon's side of one worker process: what was sent to it, what it reported, what it leaves behind.

Lives here: one worker. Never here: which task it gets, and when it is killed (executor.py).
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..core.breaker import Verdict
from ..core.log_limits import LineCutter, LineLimit
from ..core.run import Line, Outcome, Task
from ..core.timestamps import instant
from ..executors import PlainSuccesses
from . import niceness, process_tree, protocol
from .progress_cell import ProgressCell
from .protocol import PackedEnding
from .queue import LONG_S

_READ_SIZE = 65_536
#: How many pieces of raw output are read at a time, so that a worker with much output cannot hold up the daemon.
_READS_A_TURN = 16
#: After a chunk was revoked, the worker may begin one more task within this time.
SETTLED_S = 0.001


class ProtocolError(Exception):
    """A message that no worker sends: a function of the user wrote to the worker's own descriptors."""


@dataclass(slots=True)
class Chunk:
    """Tasks that were sent together; the first `ended` of them have ended."""

    number: int
    tasks: list[Task]
    ended: int = 0
    revoked_at: float | None = None


class WorkerProcess:
    """One worker process of a pool. No method blocks but `kill`, which waits for the kernel.

    `now` is a reading of `clock` in monotonic seconds throughout.
    """

    def __init__(self, target: str, environ: Mapping[str, str], folder: Path | None, clock: Clock) -> None:
        self.mark = process_tree.new_mark()
        self.ready = False
        #: Why it could not load the functions.
        self.load_error: str | None = None
        #: Lines of runs, and with `run_id` 0 those that belong to no run.
        self.lines: list[Line] = []
        #: Tasks of a revoked chunk that the worker has not begun.
        self.given_back: list[Task] = []
        self._clock = clock
        self._chunks: deque[Chunk] = deque()
        self._last_number = 0
        self._broke_protocol = False
        self._is_low_priority = False
        self._limit = LineLimit()
        # The daemon keeps the reading end of the tasks too, and takes back from it what the worker has not read.
        self._tasks, self._tasks_far = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_TYPE)
        self._results, results_far = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_TYPE)
        out, out_far = os.pipe()
        err, err_far = os.pipe()
        #: What child processes and C code write past sys.stdout and sys.stderr.
        self._raw_outputs = {
            out: LineCutter(lambda text: self._add_raw_line("info", text)),
            err: LineCutter(lambda text: self._add_raw_line("error", text)),
        }
        lifeline_far, self._lifeline = os.pipe()
        with tempfile.TemporaryFile() as shared:
            shared.truncate(ProgressCell.SIZE)
            self._progress = ProgressCell(shared.fileno())
            passed = (self._tasks_far.fileno(), results_far.fileno(), shared.fileno(), lifeline_far)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scheduler.workers.program", target, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=out_far,
                stderr=err_far,
                pass_fds=passed,
                start_new_session=True,
                cwd=folder,
                env={**environ, process_tree.MARK: self.mark},
            )
        results_far.close()
        for descriptor in (out_far, err_far, lifeline_far):
            os.close(descriptor)
        # Not the reading end of the tasks: the flag is shared with the worker, which has to block on it.
        self._tasks.setblocking(False)
        self._results.setblocking(False)
        for descriptor in self._raw_outputs:
            os.set_blocking(descriptor, False)
        # Shows that the worker ended even while a forked child keeps the sockets open.
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else -1

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def current(self) -> Task | None:
        """The task that the worker runs, or runs next."""
        return self._chunks[0].tasks[self._chunks[0].ended] if self._chunks and self._left(self._chunks[0]) else None

    @property
    def chunks(self) -> int:
        """How many chunks the worker has not finished."""
        return len(self._chunks)

    @property
    def has_begun_any(self) -> bool:
        """Whether the worker has begun any task."""
        return self._progress.begun() != (0, 0, 0)

    def has_more_behind(self) -> bool:
        """Whether other tasks wait behind the current one."""
        return sum(self._left(chunk) for chunk in self._chunks) > 1

    @staticmethod
    def _left(chunk: Chunk) -> int:
        return len(chunk.tasks) - chunk.ended

    def filenos(self) -> list[int]:
        """The descriptors that turn readable when the worker has sent something or has ended."""
        watched = [self._results.fileno(), *self._raw_outputs]
        return [*watched, self._pidfd] if self._pidfd >= 0 else watched

    # Sending tasks

    def send(self, tasks: list[Task], orders: bytes) -> bool:
        """Send tasks and their packed orders as a chunk, at most two at a time; False where it cannot be sent now."""
        number = self._last_number + 1
        self._progress.clear(number)
        if not self._send(protocol.chunk_message(number, orders)):
            return False
        self._last_number = number
        self._chunks.append(Chunk(number, tasks))
        return True

    def warm_up(self, orders: bytes) -> None:
        """Have the worker go through orders without calling a function."""
        self._send(protocol.chunk_message(protocol.WARM_UP, orders))

    def _send(self, message: bytes) -> bool:
        try:
            self._tasks.send(message)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def take_back(self, now: float) -> list[Task]:
        """Take back tasks that the worker has not begun.

        A chunk that it has not read comes back at once. One that it has read is revoked first, and comes back with the
        first call after SETTLED_S.
        """
        back: list[Task] = []
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := self._tasks_far.recv(protocol.MAX_MESSAGE, socket.MSG_DONTWAIT):
                unread = protocol.chunk_number(data)
                if unread == protocol.WARM_UP:
                    continue
                back += next(chunk.tasks for chunk in self._chunks if chunk.number == unread)
                self._chunks = deque(chunk for chunk in self._chunks if chunk.number != unread)
                # The number is used again: the next chunk must not share a bank with the one in progress.
                self._last_number = min(self._last_number, unread - 1)
        if self._chunks:
            back = self._revoke(self._chunks[0], now) + back
        return back

    def _revoke(self, chunk: Chunk, now: float) -> list[Task]:
        if chunk.revoked_at is None:
            self._progress.revoke(chunk.number)
            chunk.revoked_at = now
            return []
        if now - chunk.revoked_at < SETTLED_S:
            return []
        number, index, _ = self._progress.begun()
        first_left = index + 1 if number == chunk.number & 0xFFFF else 0
        back, chunk.tasks = chunk.tasks[first_left:], chunk.tasks[:first_left]
        return back

    def can_begin_no_other(self, now: float) -> bool:
        """Whether the worker can begin no task but the current one, so that a kill ends that one only."""
        if len(self._chunks) != 1:
            return not self._chunks
        revoked_at = self._chunks[0].revoked_at
        return revoked_at is not None and now - revoked_at >= SETTLED_S and self._left(self._chunks[0]) <= 1

    # Reading results

    def results(self) -> Iterator[tuple[Task, PackedEnding] | PlainSuccesses]:
        """Read what the worker sent; yields the tasks that ended, oldest first. `lines` and `given_back` grow as well.

        Raises ProtocolError for a message that no worker sends.
        """
        while not self._broke_protocol and (data := self._received()) is not None:
            try:
                message = protocol.unpack(data)
            except (EOFError, ValueError, TypeError) as error:
                raise ProtocolError from error
            yield from self._handle(message)
        yield from self._plain_successes()
        self.read_raw_output()

    def _received(self) -> bytes | None:
        try:
            return self._results.recv(protocol.MAX_MESSAGE) or None
        except (BlockingIOError, ConnectionResetError):
            return None

    def _handle(self, message: object) -> Iterator[tuple[Task, PackedEnding] | PlainSuccesses]:
        head = self._chunks[0] if self._chunks else None
        match message:
            case (protocol.READY,):
                self.ready = True
            case (protocol.BROKEN, str(why)):
                self.load_error = why
            case (protocol.LINE, int(run_id), int(at), str(level), str(text)):
                is_ours = head is not None and any(task.run_id == run_id for task in head.tasks)
                self.lines.append(Line(run_id if is_ours else 0, instant(at), level, text))
            case (protocol.END, number, int(index), *ending) if head and number == head.number and len(ending) == 7:
                yield from self._plain_successes(up_to=index)
                if index != head.ended or not self._left(head):
                    raise ProtocolError
                self.read_raw_output(to_the_end=True)
                yield self._ended(*ending)
            case (protocol.DONE, number) if head and number == head.number:
                yield from self._plain_successes()
                self.given_back += head.tasks[head.ended :]
                self._chunks.popleft()
            case _:
                raise ProtocolError

    def _plain_successes(self, *, up_to: int | None = None) -> Iterator[tuple[Task, PackedEnding] | PlainSuccesses]:
        """The tasks of the chunk in progress that succeeded according to the progress cell, up to an index."""
        if not self._chunks:
            return
        chunk = self._chunks[0]
        first, last = chunk.ended, len(chunk.tasks) if up_to is None else up_to
        times = list(self._progress.ended(chunk.number, first, last))
        if not times:
            return
        # Read once for all of them: the raw output of fast functions that share a chunk goes to the first.
        self.read_raw_output(to_the_end=True)
        task, dropped = self.end_current()
        chunk.ended = first + len(times)
        if dropped:
            yield task, PackedEnding(*times[0], Outcome.SUCCEEDED.value, Verdict.GOOD.value, None, None, dropped)
            first, times = first + 1, times[1:]
        yield PlainSuccesses(chunk.tasks[first : chunk.ended], times)

    def _ended(self, *ending: Any) -> tuple[Task, PackedEnding]:
        """The current task, and its ending with the raw lines that were dropped."""
        task, raw_dropped = self.end_current()
        packed = PackedEnding(*ending)
        return task, packed._replace(lines_dropped=packed.lines_dropped + raw_dropped) if raw_dropped else packed

    def end_current(self) -> tuple[Task, int]:
        """Count the current task as ended; returns it, with the number of raw lines that were dropped."""
        chunk = self._chunks[0]
        chunk.ended += 1
        dropped = self._limit.dropped
        if self._limit.used:
            self._limit = LineLimit()
        return chunk.tasks[chunk.ended - 1], dropped

    def running_s(self, now: float) -> float | None:
        """Seconds that the current task has been running, None if it has not begun."""
        if not self._chunks:
            return None
        chunk, (number, index, began_ms) = self._chunks[0], self._progress.begun()
        if number != chunk.number & 0xFFFF or index != chunk.ended or not self._left(chunk):
            return None
        return self._progress.elapsed_s(began_ms, now)

    def take_unbegun(self) -> list[Task]:
        """Of a dead worker whose current task was counted as ended: the tasks that it never began."""
        left = [task for chunk in self._chunks for task in chunk.tasks[chunk.ended :]]
        self._chunks.clear()
        return left

    def ignore_messages(self) -> None:
        """Read no more messages of a worker that broke the protocol."""
        self._broke_protocol = True

    def exit_reason(self) -> str | None:
        """How the worker died, None while it lives."""
        status = self._process.poll()
        if status is None:
            return None
        if self._broke_protocol:
            return "the worker broke its protocol and was killed: a function wrote to descriptors that are not its own"
        return process_tree.exit_text(status)

    def yields_to_others(self, now: float) -> bool:
        """Whether the worker should have low priority: it still starts, or its run takes long."""
        return not self.ready or (self.running_s(now) or 0.0) >= LONG_S

    def update_priority(self, now: float) -> None:
        """Give the worker the priority that it should have; tried again the next time where the kernel refuses."""
        is_low = self.yields_to_others(now)
        if is_low != self._is_low_priority and (niceness.lower if is_low else niceness.restore)(self.pid):
            self._is_low_priority = is_low

    def kill(self) -> None:
        """Kill the worker and its descendants now."""
        process_tree.kill(self._process, self.mark)

    def close(self) -> None:
        """Release everything; a worker that still lives ends because its lifeline closes."""
        for channel in (self._tasks, self._tasks_far, self._results):
            channel.close()
        for descriptor in (*self._raw_outputs, self._lifeline, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._progress.close()

    def read_raw_output(self, *, to_the_end: bool = False) -> None:
        """Read what was written to the descriptors 1 and 2; `to_the_end` of a run, its unfinished line counts too."""
        for descriptor, cutter in self._raw_outputs.items():
            with contextlib.suppress(BlockingIOError):
                for _ in range(_READS_A_TURN):
                    data = os.read(descriptor, _READ_SIZE)
                    if not data:
                        break
                    cutter.feed(data.decode("utf-8", "replace"))
            if to_the_end:
                cutter.finish()

    def _add_raw_line(self, level: str, text: str) -> None:
        """Add a line of a child process or of C code to the run in progress."""
        # The minute of the limit begins with each run, so the time does not matter.
        if self._limit.allows(0.0):
            current = self.current
            self.lines.append(Line(current.run_id if current else 0, self._clock.now(), level, text))
