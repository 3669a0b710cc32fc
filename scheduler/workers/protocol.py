"""The messages between the daemon and a worker process.

Each message is one datagram: a worker that is killed leaves no half-written message, and the daemon can take back a
message that the worker has not read.

    daemon → worker   chunk_message(number, orders): the tasks to run, one after the other, in the marshal format
    worker → daemon   worker_messages.py

A run that succeeds, returns None and prints nothing sends no message: its slot in the ProgressCell says so.
"""

from __future__ import annotations

import marshal
import socket
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from ..core.breaker import Verdict
from ..core.run import Ending, Line, Outcome, Task
from ..core.timestamps import instant, stamp

#: Keeps message boundaries and reports that the other side has closed; systems without it use datagrams.
SOCKET_TYPE: Final = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
#: Larger than any message: parameters are at most 64 KiB, a line at most 4,096 characters.
MAX_MESSAGE = 400_000

#: How many tasks one message may hand out, and about how many bytes of parameters.
CHUNK_TASKS = 250
CHUNK_BYTES = 65_536

#: The length of the tag with which every message of a worker begins; each worker has its own.
TAG_SIZE: Final = 8


class Order(NamedTuple):
    """Call this function; `fire_at` in microseconds since 1970, `params` as JSON text."""

    run_id: int
    function: str
    params: str
    limit_s: float
    request_id: str
    timer: str
    fire_at: int
    attempt: int
    past_due: bool


class PackedLine(NamedTuple):
    """A Line as it crosses from one process to another; `at` in microseconds since 1970, `run_id` 0 outside a run."""

    run_id: int
    at: int
    level: str
    text: str

    def unpacked(self) -> Line:
        return Line(self.run_id, instant(self.at), self.level, self.text)


class PackedEnding(NamedTuple):
    """An Ending as it crosses from one process to another: plain values, instants in microseconds since 1970."""

    started_at: int
    ended_at: int
    outcome: str
    verdict: str
    error: str | None
    result: str | None
    lines_dropped: int

    @property
    def took_s(self) -> float:
        """How long the run took, in seconds."""
        return (self.ended_at - self.started_at) / 1_000_000

    def unpacked(self) -> Ending:
        return Ending(
            _OUTCOMES[self.outcome],
            _VERDICTS[self.verdict],
            instant(self.ended_at),
            instant(self.started_at),
            self.error,
            self.result,
            self.lines_dropped,
        )


# A look-up in a table is faster than a call of the enum.
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def order_of(task: Task) -> Order:
    """The order to run a task."""
    return Order(
        task.run_id,
        task.function,
        task.params,
        task.limit_s,
        task.request_id,
        task.timer,
        stamp(task.fire_time),
        task.attempt,
        task.past_due,
    )


def pack_orders(tasks: Sequence[Task]) -> bytes:
    """The orders to run tasks, as part of a message."""
    return marshal.dumps([tuple(order_of(task)) for task in tasks])


def chunk_message(chunk: int, orders: bytes) -> bytes:
    """The message that hands out a chunk: its number, then its orders."""
    return _NUMBER.pack(chunk) + orders


def chunk_number(message: bytes) -> int:
    """The number of the chunk that a message hands out, or WARM_UP."""
    number: int = _NUMBER.unpack_from(message)[0]
    return number


def orders_in(message: bytes) -> list[Order]:
    """The orders that a message hands out."""
    return [Order(*order) for order in marshal.loads(memoryview(message)[_NUMBER.size :])]


_NUMBER = Struct("<Q")
#: Instead of a chunk's number: process the orders without calling a function.
WARM_UP: Final = 0
