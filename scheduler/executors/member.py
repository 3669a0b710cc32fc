"""Member, the daemon's end of one worker process: what it was sent, what it is at, and what it leaves when it dies."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from ..logs import LineCutter, LineLimit
from ..run import Task
from ..stamps import stamp
from . import family, wire

_READ_SIZE = 65_536
#: How many pieces of raw output are read at a time, so that one loud worker cannot hold up the daemon.
_READS_A_TURN = 16


class Member:
    """One worker process of a pool. Nothing here waits, but for `kill`, which waits for the kernel."""

    def __init__(self, target: str, environ: Mapping[str, str]) -> None:
        self.mark = secrets.token_hex(8)
        self.ready = False
        self.broken: str | None = None
        self.idle_since = 0.0
        #: Sent and not yet ended, in the order in which the worker begins them.
        self.sent: deque[Task] = deque()
        #: Raw output (of child processes, of C code) of the run in progress: (level, text).
        self.printed: list[tuple[str, str]] = []
        self._ended = 0
        self._limit = LineLimit()
        self._tasks, self._tasks_far = socket.socketpair(socket.AF_UNIX, wire.SOCKET_TYPE)
        self._results, results_far = socket.socketpair(socket.AF_UNIX, wire.SOCKET_TYPE)
        out, out_far = os.pipe()
        err, err_far = os.pipe()
        self._outputs = {
            out: LineCutter(lambda text: self._print("info", text)),
            err: LineCutter(lambda text: self._print("error", text)),
        }
        lifeline_far, self._lifeline = os.pipe()
        with tempfile.TemporaryFile() as shared:
            shared.truncate(4096)
            self._cell = wire.ProgressCell(shared.fileno())
            passed = (self._tasks_far.fileno(), results_far.fileno(), shared.fileno(), lifeline_far)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scheduler.executors.worker", target, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=out_far,
                stderr=err_far,
                pass_fds=passed,
                start_new_session=True,
                env={**environ, family.MARK: self.mark},
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
    def has_begun_any(self) -> bool:
        """Whether the worker has begun any task."""
        return self._cell.read()[0] > 0

    def filenos(self) -> list[int]:
        """What turns readable when the worker has something to say, or is dead."""
        watched = [self._results.fileno(), *self._outputs]
        return [*watched, self._pidfd] if self._pidfd >= 0 else watched

    def send(self, task: Task) -> bool:
        """Put a task into the worker's queue; False when the queue is full."""
        order = wire.Order(
            run_id=task.run_id,
            function=task.function,
            params=task.params,
            limit_s=task.limit_s,
            request_id=task.request_id,
            timer=task.timer,
            fire_at=stamp(task.fire_time),
            attempt=task.attempt,
            past_due=task.past_due,
        )
        try:
            self._tasks.send(wire.pack(order))
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        self.sent.append(task)
        return True

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What the worker has said; keeps count of what it began and ended."""
        while True:
            try:
                data = self._results.recv(wire.MAX_MESSAGE)
            except (BlockingIOError, ConnectionResetError):
                return
            if not data:
                return
            message = wire.unpack(data)
            match message[0]:
                case wire.READY:
                    self.ready = True
                case wire.BROKEN:
                    self.broken = message[1]
                case wire.END:
                    self._ended += 1
                    self.read_output(to_the_end=True)
            yield message

    def ended(self) -> tuple[Task, int]:
        """Take the task that just ended off the queue, with the number of raw lines that were dropped."""
        dropped, self._limit = self._limit.dropped, LineLimit()
        return self.sent.popleft(), dropped

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

    def take_printed(self) -> list[tuple[str, str]]:
        printed, self.printed = self.printed, []
        return printed

    def running_for(self, now: float) -> float | None:
        """Seconds that the first task sent has been running at `now`, None if the worker has not begun it yet."""
        begun, began_ms = self._cell.read()
        if not self.sent or begun != (self._ended + 1) & 0xFFFF_FFFF:
            return None
        return self._cell.elapsed_s(began_ms, now)

    def take_back(self) -> list[Task]:
        """Take back what was sent and the worker has not read yet: nobody else has it then."""
        unread = set()
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while data := self._tasks_far.recv(wire.MAX_MESSAGE, socket.MSG_DONTWAIT):
                unread.add(wire.Order(*wire.unpack(data)).run_id)
        back = [task for task in self.sent if task.run_id in unread]
        self.sent = deque(task for task in self.sent if task.run_id not in unread)
        return back

    def exit_reason(self) -> str | None:
        """How the worker died, None while it lives."""
        status = self._process.poll()
        if status is None:
            return None
        if status < 0:
            return f"the worker process was killed by {_signal_name(-status)}"
        return f"the worker process ended with exit status {status}"

    def kill(self) -> None:
        """End the worker and its descendants now."""
        family.kill(self._process, self.mark)

    def close(self) -> None:
        """Release everything; the worker must be dead, or ends for want of its lifeline."""
        for channel in (self._tasks, self._tasks_far, self._results):
            channel.close()
        for descriptor in (*self._outputs, self._lifeline, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._cell.close()

    def _print(self, level: str, text: str) -> None:
        # Without a mutable clock here: the limit of a minute restarts with each run.
        if self._limit.allows(0.0):
            self.printed.append((level, text))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
