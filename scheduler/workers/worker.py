"""Member, the daemon's end of one worker process: what it was sent, what it is at, and what it leaves when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..core.breaker import Verdict
from ..core.log_limits import LineCutter, LineLimit
from ..core.run import Outcome, Task
from ..executors import EndedWell
from . import niceness, process_tree, protocol
from .queue import LONG_S

_READ_SIZE = 65_536
#: How many pieces of raw output are read at a time, so that one loud worker cannot hold up the daemon.
_READS_A_TURN = 16
#: After this long, what a worker had begun when a chunk was revoked is in memory for all to see.
SETTLED_S = 0.001


class ProtocolError(Exception):
    """A worker said what no worker says: a function of the user wrote where it should not have."""


class Ended(NamedTuple):
    """How a task ended, in the words of its worker; instants in microseconds since 1970."""

    task: Task
    started_at: int
    ended_at: int
    outcome: str
    verdict: str
    error: str | None
    result: str | None
    lines_dropped: int


class Printed(NamedTuple):
    """A line of a run, or of nobody where `run_id` is 0; `at` is None where the daemon is to say when."""

    run_id: int
    at: int | None
    level: str
    text: str


@dataclass(slots=True)
class Chunk:
    """Tasks that were sent together; the first `ended` of them have ended."""

    number: int
    tasks: list[Task]
    ended: int = 0
    revoked_at: float | None = None


class Worker:
    """One worker process of a pool. Nothing here waits, but for `kill`, which waits for the kernel."""

    def __init__(self, target: str, environ: Mapping[str, str], folder: Path | None = None) -> None:
        self.mark = process_tree.new_mark()
        self.ready = False
        self.broken: str | None = None
        self.printed: list[Printed] = []
        #: Tasks that the worker gave back unbegun, having been told that they went to others.
        self.given_back: list[Task] = []
        self._chunks: deque[Chunk] = deque()
        self._sent = 0
        self._is_muted = False
        self._is_low = False
        self._limit = LineLimit()
        self._tasks, self._tasks_far = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_TYPE)
        self._results, results_far = socket.socketpair(socket.AF_UNIX, protocol.SOCKET_TYPE)
        out, out_far = os.pipe()
        err, err_far = os.pipe()
        self._outputs = {
            out: LineCutter(lambda text: self._print("info", text)),
            err: LineCutter(lambda text: self._print("error", text)),
        }
        lifeline_far, self._lifeline = os.pipe()
        with tempfile.TemporaryFile() as shared:
            shared.truncate(protocol.ProgressCell.SIZE)
            self._progress = protocol.ProgressCell(shared.fileno())
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
        # Not the far end of the tasks: the flag would be the worker's too, and it must wait there.
        self._tasks.setblocking(False)
        self._results.setblocking(False)
        for descriptor in self._outputs:
            os.set_blocking(descriptor, False)
        # Its end is seen even while a forked child keeps the sockets open.
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else -1

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def current(self) -> Task | None:
        """The task that the worker is at, or comes to next."""
        return self._chunks[0].tasks[self._chunks[0].ended] if self._chunks and self._left(self._chunks[0]) else None

    @property
    def chunks(self) -> int:
        """How many chunks the worker has before it."""
        return len(self._chunks)

    @property
    def has_begun_any(self) -> bool:
        """Whether the worker has begun any task."""
        return self._progress.begun() != (0, 0, 0)

    def has_more_behind(self) -> bool:
        """Whether other tasks stand behind the current one."""
        return sum(self._left(chunk) for chunk in self._chunks) > 1

    @staticmethod
    def _left(chunk: Chunk) -> int:
        return len(chunk.tasks) - chunk.ended

    def filenos(self) -> list[int]:
        """What turns readable when the worker has something to say, or is dead."""
        watched = [self._results.fileno(), *self._outputs]
        return [*watched, self._pidfd] if self._pidfd >= 0 else watched

    # Work for it

    def send(self, tasks: list[Task], orders: bytes) -> bool:
        """Send tasks and their packed orders as a chunk, at most two at a time; False where it cannot be sent now."""
        number = self._sent + 1
        self._progress.clear(number)
        if not self._send(protocol.chunk_message(number, orders)):
            return False
        self._sent = number
        self._chunks.append(Chunk(number, tasks))
        return True

    def rehearse(self, orders: bytes) -> None:
        """Have the worker go through orders without calling anything."""
        self._send(protocol.chunk_message(protocol.REHEARSAL, orders))

    def _send(self, message: bytes) -> bool:
        try:
            self._tasks.send(message)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def take_back(self, now: float) -> list[Task]:
        """Take back tasks that the worker has not begun; those of a chunk that it has read, only a moment later."""
        back: list[Task] = []
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := self._tasks_far.recv(protocol.MAX_MESSAGE, socket.MSG_DONTWAIT):
                unread = protocol.chunk_number(data)
                if unread == protocol.REHEARSAL:
                    continue
                back += next(chunk.tasks for chunk in self._chunks if chunk.number == unread)
                self._chunks = deque(chunk for chunk in self._chunks if chunk.number != unread)
                # Nobody has seen that number, and the next chunk must not share a bank with the one in progress.
                self._sent = min(self._sent, unread - 1)
        if self._chunks:
            back = self._take_from(self._chunks[0], now) + back
        return back

    def _take_from(self, chunk: Chunk, now: float) -> list[Task]:
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

    def can_begin_nothing(self, now: float) -> bool:
        """Whether the worker can begin no other task than the one that it is at."""
        if len(self._chunks) != 1:
            return not self._chunks
        revoked_at = self._chunks[0].revoked_at
        return revoked_at is not None and now - revoked_at >= SETTLED_S and self._left(self._chunks[0]) <= 1

    # News of it

    def news(self) -> Iterator[Ended | EndedWell]:
        """Tasks that ended, oldest first; what else the worker says is kept in its attributes.

        Raises ProtocolError for what cannot have come from our own worker.
        """
        while not self._is_muted and (data := self._received()) is not None:
            try:
                message = protocol.unpack(data)
            except (EOFError, ValueError, TypeError) as error:
                raise ProtocolError from error
            yield from self._heard(message)
        yield from self._ended_silently()
        self.read_output()

    def _received(self) -> bytes | None:
        try:
            return self._results.recv(protocol.MAX_MESSAGE) or None
        except (BlockingIOError, ConnectionResetError):
            return None

    def _heard(self, message: object) -> Iterator[Ended | EndedWell]:
        head = self._chunks[0] if self._chunks else None
        match message:
            case (protocol.READY,):
                self.ready = True
            case (protocol.BROKEN, str(why)):
                self.broken = why
            case (protocol.LINE, int(run_id), int(at), str(level), str(text)):
                is_ours = head is not None and any(task.run_id == run_id for task in head.tasks)
                self.printed.append(Printed(run_id if is_ours else 0, at, level, text))
            case (protocol.END, number, int(index), *story) if head and number == head.number and len(story) == 7:
                yield from self._ended_silently(up_to=index)
                if index != head.ended or not self._left(head):
                    raise ProtocolError
                self.read_output(to_the_end=True)
                yield self._end(*story)
            case (protocol.DONE, number) if head and number == head.number:
                yield from self._ended_silently()
                self.given_back += head.tasks[head.ended :]
                self._chunks.popleft()
            case _:
                raise ProtocolError

    def _ended_silently(self, *, up_to: int | None = None) -> Iterator[Ended | EndedWell]:
        """Tasks of the chunk in progress that ended well and sent no word of it."""
        if not self._chunks:
            return
        chunk = self._chunks[0]
        first, last = chunk.ended, len(chunk.tasks) if up_to is None else up_to
        times = list(self._progress.ended(chunk.number, first, last))
        if not times:
            return
        # Once for all of them: the raw output of fast functions that share a chunk goes to the first.
        self.read_output(to_the_end=True)
        task, dropped = self.end_current()
        chunk.ended = first + len(times)
        if dropped:
            yield Ended(task, *times[0], Outcome.SUCCEEDED.value, Verdict.GOOD.value, None, None, dropped)
            first, times = first + 1, times[1:]
        yield EndedWell(chunk.tasks[first : chunk.ended], times)

    def _end(self, *story: Any) -> Ended:
        """The current task has ended: started_at, ended_at, outcome, verdict, error, result, lines_dropped."""
        task, dropped = self.end_current()
        started_at, ended_at, outcome, verdict, error, result, lines_dropped = story
        return Ended(task, started_at, ended_at, outcome, verdict, error, result, lines_dropped + dropped)

    def end_current(self) -> tuple[Task, int]:
        """Count the current task as ended; returns it, with the number of raw lines that were dropped."""
        chunk = self._chunks[0]
        chunk.ended += 1
        dropped = self._limit.dropped
        if self._limit.used:
            self._limit = LineLimit()
        return chunk.tasks[chunk.ended - 1], dropped

    def running_for(self, now: float) -> float | None:
        """Seconds that the current task has been running at `now`, None if it has not begun."""
        if not self._chunks:
            return None
        chunk, (number, index, began_ms) = self._chunks[0], self._progress.begun()
        if number != chunk.number & 0xFFFF or index != chunk.ended or not self._left(chunk):
            return None
        return self._progress.elapsed_s(began_ms, now)

    def leave_unbegun(self) -> list[Task]:
        """When the worker is dead: the tasks that it never began."""
        left = [task for chunk in self._chunks for task in chunk.tasks[chunk.ended :]]
        self._chunks.clear()
        return left

    def mute(self) -> None:
        """Hear no more of a worker that broke the protocol."""
        self._is_muted = True

    def exit_reason(self) -> str | None:
        """How the worker died, None while it lives."""
        status = self._process.poll()
        if status is None:
            return None
        if self._is_muted:
            return "the worker broke its protocol and was killed: a function wrote to descriptors that are not its own"
        if status < 0:
            return f"the worker process was killed by {_signal_name(-status)}"
        return f"the worker process ended with exit status {status}"

    def has_time(self, now: float) -> bool:
        """Whether the worker need not go before others: it still starts, or runs what takes long."""
        return not self.ready or (self.running_for(now) or 0.0) >= LONG_S

    def yield_to_others(self, now: float) -> None:
        """Give the worker the priority that it should have; where the kernel refuses for the moment, the next time."""
        has_time = self.has_time(now)
        if has_time != self._is_low and (niceness.lower if has_time else niceness.restore)(self.pid):
            self._is_low = has_time

    def kill(self) -> None:
        """End the worker and its descendants now."""
        process_tree.kill(self._process, self.mark)

    def close(self) -> None:
        """Release everything; the worker must be dead, or ends for want of its lifeline."""
        for channel in (self._tasks, self._tasks_far, self._results):
            channel.close()
        for descriptor in (*self._outputs, self._lifeline, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._progress.close()

    def read_output(self, *, to_the_end: bool = False) -> None:
        """Read raw output; a run's last unfinished line counts when the run has ended."""
        for descriptor, cutter in self._outputs.items():
            with contextlib.suppress(BlockingIOError):
                for _ in range(_READS_A_TURN):
                    data = os.read(descriptor, _READ_SIZE)
                    if not data:
                        break
                    cutter.feed(data.decode("utf-8", "replace"))
            if to_the_end:
                cutter.finish()

    def _print(self, level: str, text: str) -> None:
        """What child processes and C code print belongs to the run in progress."""
        # No clock here, so the minute of the limit begins with each run.
        if self._limit.allows(0.0):
            current = self.current
            self.printed.append(Printed(current.run_id if current else 0, None, level, text))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
