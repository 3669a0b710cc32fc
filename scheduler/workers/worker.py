"""WorkerProcess: the daemon's side of one worker process: sends tasks, reads results, kills the process.

Lives here: one worker. Never here: which task it gets (hand_out.py), and when it is killed (executor.py,
time_limits.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..clock import Clock
from ..core.breaker import Verdict
from ..core.run import Outcome, Task
from ..executors import PlainSuccesses
from . import niceness, process_tree, protocol, worker_messages, worker_start
from .chunk import Chunk, wall_offset_us
from .loading import Loading
from .protocol import PackedEnding, PackedLine
from .queue import LONG_S
from .silence import Silence
from .strays import strays
from .unkillable_processes import unkillable_processes
from .worker_lines import WorkerLines
from .worker_messages import Broken, Done, Ended, ProtocolError, Ready

#: The most messages to read a turn; the number of malformed messages after which the worker is killed.
_MESSAGES_A_TURN, _MOST_NOISE = 1_000, 100
#: The error of a run whose function wrote to the worker's own descriptors.
BREACH = "the worker broke its protocol and was killed: a function wrote to descriptors that are not its own"


class WorkerProcess:
    """One worker process of a pool. No method blocks, except `kill`, which waits a moment for the kernel.

    `now` is a reading of `clock` in monotonic seconds throughout.
    """

    def __init__(
        self,
        target: str,
        environ: Mapping[str, str],
        folder: Path | None,
        clock: Clock,
        load_timeout_s: float,
        sources: int | None = None,
    ) -> None:
        self.mark = process_tree.new_mark()
        self.ready = False
        self.started_at = clock.monotonic()
        #: Why the worker could not load the functions.
        self.load_error: str | None = None
        #: Tasks of a revoked chunk that the worker has not begun.
        self.given_back: list[Task] = []
        #: The run during which the worker sent a malformed message, 0 if between runs; it gets no more tasks then.
        self.breached_by: int | None = None
        #: Set while the worker is suspected because it does not answer.
        self.silence: Silence | None = None
        #: How many runs have ended.
        self.runs = 0
        #: Set while a successor starts, and then also that it gets no more tasks; see recycling.py.
        self.is_leaving = self.hands_over = False
        self._clock = clock
        self._chunks: deque[Chunk] = deque()
        self._last_number = 0
        self._has_ended_any = False
        #: The number of warm-ups sent, and when the worker last answered, or was sent something after a pause.
        self._warm_ups = 0
        self._heard_at = self.started_at
        self._has_hung_up = False
        #: The wall clock minus the monotonic one, read once for all results that are read together.
        self._offset_us: int | None = None
        self._noise = 0
        self._broke_protocol = False
        self._is_low_priority = False
        self.lines = WorkerLines(clock, lambda: self.current, lambda: self._progress.has_left_over)
        self._raw_output = self.lines.raw_output
        started = self._start(target, environ, folder, sources)
        self._process, self._tasks, self._tasks_far, self._results, self._lifeline, self._progress, self._tag = started
        #: Used until the worker is ready.
        self.loading = Loading(self._process.pid, target, self.started_at, load_timeout_s)
        # Becomes readable when the worker ends, even if a forked child keeps the sockets open.
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else -1

    def _start(
        self, target: str, environ: Mapping[str, str], folder: Path | None, sources: int | None
    ) -> worker_start.Started:
        out_far, err_far = self._raw_output.far_ends
        environ = {**environ, process_tree.MARK: self.mark}
        started = worker_start.start(
            target, stdout=out_far, stderr=err_far, environ=environ, folder=folder, sources=sources
        )
        self._raw_output.close_far_ends()
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def current(self) -> Task | None:
        """The task that the worker runs, or runs next."""
        return self._chunks[0].tasks[self._chunks[0].ended] if self._chunks and self._chunks[0].left else None

    @property
    def chunks(self) -> int:
        """How many chunks the worker has not finished."""
        return len(self._chunks)

    @property
    def run_ids(self) -> set[int]:
        """The runs that were sent to the worker and have not ended."""
        return {task.run_id for chunk in self._chunks for task in chunk.tasks[chunk.ended :]}

    @property
    def has_begun_any(self) -> bool:
        """Whether the worker has begun any task."""
        return self._has_ended_any or self.running_s(self._clock.monotonic()) is not None

    @property
    def takes_tasks(self) -> bool:
        """Whether the worker may be sent tasks."""
        return self.ready and self.silence is None and self.breached_by is None and not self.hands_over

    def has_more_behind(self) -> bool:
        """Whether other tasks wait behind the current one."""
        return sum(chunk.left for chunk in self._chunks) > 1

    def filenos(self) -> list[int]:
        """The descriptors that become readable when the worker has sent something or has ended."""
        watched = self._raw_output.filenos()
        if not self._has_hung_up:
            watched.append(self._results.fileno())
        return [*watched, self._pidfd] if self._pidfd >= 0 else watched

    # Sending tasks

    def send(self, tasks: list[Task], orders: bytes) -> bool:
        """Send tasks and their packed orders as a chunk, at most two at a time; False if it cannot be sent now."""
        number = self._last_number + 1
        self._progress.clear(number)
        now = self._begin_to_wait()
        if not self._send(protocol.chunk_message(number, orders)):
            return False
        self._last_number = number
        self._chunks.append(Chunk(number, tasks, now))
        return True

    def warm_up(self, orders: bytes) -> None:
        """Send orders that the worker processes without calling a function, to warm up and to show that it answers."""
        self._begin_to_wait()
        self._warm_ups += self._send(protocol.chunk_message(protocol.WARM_UP, orders))

    def ask_for_answer(self) -> None:
        """Send a suspected worker an empty warm-up, which it has to answer."""
        self._warm_ups += self._send(protocol.chunk_message(protocol.WARM_UP, protocol.pack_orders([])))

    def _begin_to_wait(self) -> float:
        """Start to wait for an answer, unless the worker owes one already; returns the time."""
        now = self._clock.monotonic()
        if not self._owes_answer():
            self._heard_at = now
        return now

    def _owes_answer(self) -> bool:
        return bool(self._chunks) or self._progress.warm_ups != self._warm_ups

    def silent_s(self, now: float) -> float | None:
        """How long the worker has not begun its next task; None if it has none, or a run is in progress."""
        if not self.ready or not self._owes_answer() or self.running_s(now) is not None:
            return None
        return now - self._heard_at

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
                    self._warm_ups -= 1
                    continue
                back += next(chunk.tasks for chunk in self._chunks if chunk.number == unread)
                self._chunks = deque(chunk for chunk in self._chunks if chunk.number != unread)
                # The next chunk gets this number, so that it does not share a bank with the one in progress.
                self._last_number = min(self._last_number, unread - 1)
        if self._chunks:
            back = self._chunks[0].revoke(self._progress, now) + back
        return back

    def can_begin_no_other(self, now: float) -> bool:
        """Whether the worker can begin no task but the current one, so that a kill ends that one only."""
        if len(self._chunks) != 1:
            return not self._chunks
        return self._chunks[0].is_settled(now) and self._chunks[0].left <= 1

    # Reading results

    def results(self) -> Iterator[tuple[Task, PackedEnding] | PlainSuccesses]:
        """Read the worker's messages; yields the tasks that ended, oldest first, and adds to `lines` and `given_back`.

        Raises ProtocolError for a well-formed message that no worker sends now. Malformed ones are counted.
        """
        self._offset_us = None
        for _ in range(_MESSAGES_A_TURN):
            if self._broke_protocol or (data := self._received()) is None:
                break
            if (message := self._understood(data)) is not None:
                yield from self._handle(message)
        yield from self._plain_successes()
        self._raw_output.read()

    def _received(self) -> bytes | None:
        try:
            data = self._results.recv(protocol.MAX_MESSAGE)
        except (BlockingIOError, ConnectionResetError):
            return None
        if not data and self._is_closed():
            # The worker has ended, or a function has closed its descriptors: the socket stays readable from now on.
            self._has_hung_up = self._pidfd >= 0
            return None
        return data

    def _is_closed(self) -> bool:
        """Whether the other end is closed; an empty read alone does not show it, because a message may be empty."""
        poller = select.poll()
        poller.register(self._results, 0)
        return any(events & select.POLLHUP for _, events in poller.poll(0))

    def _understood(self, data: bytes) -> worker_messages.Message | None:
        try:
            return worker_messages.received(data, self._tag)
        except ProtocolError:
            self._noise += 1
            if self._noise > _MOST_NOISE:
                raise
            if self.breached_by is None:
                self.breached_by = self.current.run_id if self.current else 0
            return None

    def _handle(self, message: worker_messages.Message) -> Iterator[tuple[Task, PackedEnding] | PlainSuccesses]:
        head = self._chunks[0] if self._chunks else None
        match message:
            case Ready() if not self.ready:
                self.ready = True
            case Broken(why) if not self.ready:
                self.load_error = why
            case PackedLine():
                is_ours = head is not None and any(task.run_id == message.run_id for task in head.tasks)
                self.lines.add(message, self._wall_offset_us(), is_ours=is_ours)
            case Ended(number, index, ending) if head and number == head.number:
                yield from self._plain_successes(up_to=index)
                if index != head.ended or not head.left:
                    raise ProtocolError
                self._raw_output.read(to_the_end=True)
                yield self._ended(ending)
            case Done(number) if head and number == head.number:
                yield from self._plain_successes()
                self._finish(head)
            case _:
                raise ProtocolError

    def _finish(self, chunk: Chunk) -> None:
        """The worker has finished with a chunk: take back the tasks that it has not begun."""
        number, index, _ = self._progress.begun()
        if number == chunk.number & 0xFFFF and chunk.ended <= index < len(chunk.tasks):
            # By the cell, this task has begun, so it must not run again.
            raise ProtocolError
        self.given_back += chunk.tasks[chunk.ended :]
        self._chunks.popleft()
        self._heard_at = self._clock.monotonic()

    def _plain_successes(self, *, up_to: int | None = None) -> Iterator[tuple[Task, PackedEnding] | PlainSuccesses]:
        """The tasks of the chunk in progress that succeeded according to the progress cell, up to an index."""
        if not self._chunks:
            return
        chunk = self._chunks[0]
        first, last = chunk.ended, len(chunk.tasks) if up_to is None else up_to
        times = list(self._progress.ended(chunk.number, first, last))
        if not times:
            return
        times = self._wall_times(times)
        # Read once for all of them: raw output of fast functions that share a chunk is assigned to the first one.
        self._raw_output.read(to_the_end=True)
        task, dropped = self.end_current()
        self.runs += len(times) - 1
        chunk.ended = first + len(times)
        if dropped:
            yield task, PackedEnding(*times[0], Outcome.SUCCEEDED.value, Verdict.GOOD.value, None, None, dropped)
            first, times = first + 1, times[1:]
        yield PlainSuccesses(chunk.tasks[first : chunk.ended], times)

    def _ended(self, ending: PackedEnding) -> tuple[Task, PackedEnding]:
        """The current task, and its ending with the raw lines that were dropped."""
        ((started_at, ended_at),) = self._wall_times([(ending.started_at, ending.ended_at)])
        task, raw_dropped = self.end_current()
        dropped = ending.lines_dropped + raw_dropped
        return task, ending._replace(started_at=started_at, ended_at=ended_at, lines_dropped=dropped)

    def _wall_times(self, times: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return self._chunks[0].wall_times(times, int(self._clock.monotonic() * 1_000_000), self._wall_offset_us())

    def _wall_offset_us(self) -> int:
        if self._offset_us is None:
            self._offset_us = wall_offset_us(self._clock)
        return self._offset_us

    def end_current(self) -> tuple[Task, int]:
        """Count the current task as ended; returns it, with the number of raw lines that were dropped."""
        chunk = self._chunks[0]
        chunk.ended += 1
        self.runs += 1
        self._has_ended_any = True
        self._heard_at = self._clock.monotonic()
        return chunk.tasks[chunk.ended - 1], self.lines.end_run()

    def running_s(self, now: float) -> float | None:
        """Seconds that the current task has been running, None if it has not begun."""
        if not self._chunks:
            return None
        chunk, (number, index, began_ms) = self._chunks[0], self._progress.begun()
        if number != chunk.number & 0xFFFF or index != chunk.ended or not chunk.left:
            return None
        return min(self._progress.elapsed_s(began_ms, now), now - chunk.sent_at)

    def unbegun_s(self, now: float) -> float:
        """The age of the oldest task that has not begun; 0.0 if there is none."""
        is_running = self.running_s(now) is not None
        for chunk in list(self._chunks):
            if chunk.left > is_running:
                return now - chunk.sent_at
            is_running = False
        return 0.0

    def take_unbegun(self) -> list[Task]:
        """The tasks that a dead worker never began; its current task must have been counted as ended."""
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
        return BREACH if self._broke_protocol else process_tree.exit_text(status)

    def ask_to_end(self) -> None:
        """Have the worker end by itself when it has finished with its chunks."""
        self._tasks.shutdown(socket.SHUT_WR)

    def update_priority(self, now: float, *, others_serve: bool) -> None:
        """Lower the worker's priority while its run takes long, or while it starts and others serve.

        If the kernel refuses, the next call tries again.
        """
        is_low = (self.running_s(now) or 0.0) >= LONG_S if self.ready else others_serve
        if is_low != self._is_low_priority and (niceness.lower if is_low else niceness.restore)(self.pid):
            self._is_low_priority = is_low

    def kill(self) -> None:
        """Kill the worker and its descendants now; UnkillableProcesses waits for one that the kernel cannot end yet."""
        if not process_tree.kill(self._process, self.mark):
            unkillable_processes.add(self._process, self._clock.monotonic())
        strays.kill()

    def read_raw_output(self) -> None:
        """Read the output to the descriptors 1 and 2 that was written before the worker died."""
        self._raw_output.read(to_the_end=True)

    def close(self) -> None:
        """Release everything; a worker that still runs ends because its lifeline closes."""
        for channel in (self._tasks, self._tasks_far, self._results):
            channel.close()
        self._raw_output.close()
        for descriptor in (self._lifeline, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._progress.close()
