"""What the daemon and a worker process say to each other, and the cell in which a worker shows how far it is.

Both ends are the same Python, so the messages are tuples in the marshal format, which holds data only. Each message is
one datagram: a worker that is killed leaves none of them half written, and one that it has not yet read can be taken
back by the daemon and given to another worker.
"""

from __future__ import annotations

import marshal
import mmap
import socket
from typing import Any, Final, NamedTuple

#: A stream of whole messages that ends when the other side is gone; systems without it have datagrams.
SOCKET_TYPE: Final = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
#: More than any message: parameters are at most 64 KiB, a line at most 4,096 characters.
MAX_MESSAGE = 400_000

#: worker → daemon: ("ready",) · ("broken", why) · ("line", run_id, at, level, text) ·
#: ("end", run_id, started_at, ended_at, how, error, result, lines_dropped); instants in microseconds since 1970.
READY: Final = "ready"
BROKEN: Final = "broken"
LINE: Final = "line"
END: Final = "end"

#: How a function ended, as its worker saw it: returned, refused its caller's request, or raised.
RETURNED: Final = "returned"
REFUSED: Final = "refused"
RAISED: Final = "raised"


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


def pack(message: tuple[Any, ...]) -> bytes:
    return marshal.dumps(tuple(message))


def unpack(data: bytes) -> tuple[Any, ...]:
    message: tuple[Any, ...] = marshal.loads(data)
    return message


class ProgressCell:
    """Eight bytes of shared memory: how many tasks a worker has begun, and when it began the last one.

    One aligned store of eight bytes is never seen half done; `struct.pack_into` would clear the bytes first.
    """

    _MILLISECONDS = 0xFFFF_FFFF

    def __init__(self, fileno: int) -> None:
        self._map = mmap.mmap(fileno, mmap.PAGESIZE)
        self._cell = memoryview(self._map).cast("Q")

    def begin(self, count: int, now: float) -> None:
        """Show that the `count`-th task begins at `now`, in monotonic seconds."""
        self._cell[0] = (count & 0xFFFF_FFFF) << 32 | (int(now * 1000) & self._MILLISECONDS)

    def read(self) -> tuple[int, int]:
        """The number of tasks begun (modulo 2**32), and when the last one was, in milliseconds modulo 2**32."""
        value = self._cell[0]
        return value >> 32, value & self._MILLISECONDS

    def elapsed_s(self, began_ms: int, now: float) -> float:
        """Seconds from a reading of the cell to `now`; right for limits of up to 49 days."""
        return ((int(now * 1000) - began_ms) & self._MILLISECONDS) / 1000

    def close(self) -> None:
        self._cell.release()
        self._map.close()
