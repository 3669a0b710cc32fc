"""What the daemon and a worker process say to each other, and the cell in which a worker shows how far it is.

Both ends are the same Python, so the messages are tuples in the marshal format, which holds data only. Each message is
one datagram: a worker that is killed leaves none of them half written, and one that it has not yet read can be taken
back by the daemon and given to another worker.
"""

from __future__ import annotations

import marshal
import mmap
import socket
from collections.abc import Iterator, Sequence
from itertools import takewhile
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from ..core.run import Task
from ..core.timestamps import stamp

#: A stream of whole messages that ends when the other side is gone; systems without it have datagrams.
SOCKET_TYPE: Final = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
#: More than any message: parameters are at most 64 KiB, a line at most 4,096 characters.
MAX_MESSAGE = 400_000

#: How many tasks one message may hand out, and about how many bytes of parameters.
CHUNK_TASKS = 250
CHUNK_BYTES = 65_536

#: worker → daemon: ("ready",) · ("broken", why) · ("line", run_id, at, level, text) · ("done", chunk) ·
#: ("end", chunk, index, started_at, ended_at, outcome, verdict, error, result,
#: lines_dropped); instants in microseconds since 1970.
#: A run that returned None and printed nothing sends no message: its slot in shared memory says so.
READY: Final = "ready"
BROKEN: Final = "broken"
LINE: Final = "line"
END: Final = "end"
DONE: Final = "done"


class Order(NamedTuple):
    """daemon → worker: call this function; `fire_at` in microseconds since 1970, `params` as JSON text."""

    run_id: int
    function: str
    params: str
    limit_s: float
    request_id: str
    timer: str
    fire_at: int
    attempt: int
    past_due: bool


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
    """The orders to run tasks, as they stand in a message."""
    return marshal.dumps([tuple(order_of(task)) for task in tasks])


def chunk_message(chunk: int, orders: bytes) -> bytes:
    """The message that hands out a chunk: its number, then its orders."""
    return _NUMBER.pack(chunk) + orders


def chunk_number(message: bytes) -> int:
    """Which chunk a message hands out, REHEARSAL for none."""
    number: int = _NUMBER.unpack_from(message)[0]
    return number


def orders_in(message: bytes) -> list[Order]:
    """The orders that a message hands out."""
    return [Order(*order) for order in marshal.loads(memoryview(message)[_NUMBER.size :])]


_NUMBER = Struct("<Q")
#: Stands in place of a chunk's number where its orders are only to be gone through, calling nothing.
REHEARSAL: Final = 0


def pack(message: tuple[Any, ...]) -> bytes:
    return marshal.dumps(tuple(message))


def unpack(data: bytes) -> tuple[Any, ...]:
    message: tuple[Any, ...] = marshal.loads(data)
    return message


class ProgressCell:
    """Shared memory in which a worker shows how far it is, so that a run costs no message and a kill loses nothing.

    Words of eight bytes: [0] the task begun last, [1] the chunk of which no further task may begin, then two banks
    (chunks by turns) of two words for each task: when it started, and when it ended well. One aligned store of eight
    bytes is never seen half done; `struct.pack_into` would clear the bytes first.
    """

    SIZE: Final = 8_192
    _BANKS: Final = 8
    _MILLISECONDS: Final = 0xFFFF_FFFF

    def __init__(self, fileno: int) -> None:
        self._map = mmap.mmap(fileno, self.SIZE)
        self._words = memoryview(self._map).cast("Q")

    def _slot(self, chunk: int, index: int) -> int:
        return self._BANKS + (chunk & 1) * 2 * CHUNK_TASKS + 2 * index

    # The worker's side

    def begin(self, chunk: int, index: int, now: float) -> None:
        """Show that a task begins at `now`, in monotonic seconds."""
        self._words[0] = (chunk & 0xFFFF) << 48 | index << 32 | (int(now * 1000) & self._MILLISECONDS)

    def end(self, chunk: int, index: int, started_at: int, ended_at: int) -> None:
        """Show that a task ended well, with nothing to tell."""
        slot = self._slot(chunk, index)
        self._words[slot] = started_at
        self._words[slot + 1] = ended_at

    def is_revoked(self, chunk: int) -> bool:
        """Whether the rest of a chunk was given to others."""
        return self._words[1] == chunk

    # The daemon's side

    def clear(self, chunk: int) -> None:
        """Make the bank of a chunk ready for it."""
        first = self._slot(chunk, 0)
        self._words[first : first + 2 * CHUNK_TASKS] = _EMPTY_BANK

    def begun(self) -> tuple[int, int, int]:
        """The task begun last: its chunk (modulo 2**16), its index, and when, in milliseconds modulo 2**32."""
        word = self._words[0]
        return word >> 48, word >> 32 & 0xFFFF, word & self._MILLISECONDS

    def ended(self, chunk: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        """When the tasks from index `first` on started and ended, up to `last` or one that has more to tell."""
        words = self._words[self._slot(chunk, first) : self._slot(chunk, last)].tolist()
        return takewhile(_has_ended, zip(words[::2], words[1::2], strict=True))

    def revoke(self, chunk: int) -> None:
        """Forbid the worker to begin more of a chunk; what it has begun is known for sure a moment later."""
        self._words[1] = chunk

    def elapsed_s(self, began_ms: int, now: float) -> float:
        """Seconds from a reading of `begun` to `now`, 0 where it began later; right for limits of up to 24 days."""
        elapsed_ms = (int(now * 1000) - began_ms) & self._MILLISECONDS
        return elapsed_ms / 1000 if elapsed_ms <= self._MILLISECONDS // 2 else 0.0

    def close(self) -> None:
        self._words.release()
        self._map.close()


_has_ended = itemgetter(1)
_EMPTY_BANK = memoryview(bytes(16 * CHUNK_TASKS)).cast("Q")
