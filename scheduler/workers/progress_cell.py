"""ProgressCell: shared memory in which a worker shows how far it is, so that a run costs no message."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter
from typing import Final

from .protocol import CHUNK_TASKS


class ProgressCell:
    """How far a worker is, readable even after it was killed.

    Words of eight bytes: [0] the task begun last, [1] the revoked chunk, of which no further task may begin, then two
    banks, used by chunks in turn, of two words a task: when it started, and when it ended as a plain success. An
    aligned store of eight bytes is never seen half done; `struct.pack_into` would clear the bytes first.

        word 0:  bits 48-63 the chunk, modulo 2**16 · bits 32-47 the task's index · bits 0-31 milliseconds, monotonic
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
        """Show that a task succeeded, returned None and printed nothing."""
        slot = self._slot(chunk, index)
        self._words[slot] = started_at
        self._words[slot + 1] = ended_at

    def is_revoked(self, chunk: int) -> bool:
        """Whether the daemon has taken back the rest of a chunk."""
        return self._words[1] == chunk

    # The daemon's side

    def clear(self, chunk: int) -> None:
        """Clear the bank of a chunk that is about to be sent."""
        first = self._slot(chunk, 0)
        self._words[first : first + 2 * CHUNK_TASKS] = _EMPTY_BANK

    def begun(self) -> tuple[int, int, int]:
        """The task begun last: its chunk (modulo 2**16), its index, and when, in milliseconds modulo 2**32."""
        word = self._words[0]
        return word >> 48, word >> 32 & 0xFFFF, word & self._MILLISECONDS

    def ended(self, chunk: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Start and end of the tasks [first, last) of a chunk, up to the first that is no plain success so far."""
        words = self._words[self._slot(chunk, first) : self._slot(chunk, last)].tolist()
        return takewhile(_has_ended, zip(words[::2], words[1::2], strict=True))

    def revoke(self, chunk: int) -> None:
        """Forbid the worker to begin more of a chunk; `begun` is final for that chunk SETTLED_S later."""
        self._words[1] = chunk

    def elapsed_s(self, began_ms: int, now: float) -> float:
        """Seconds from a reading of `begun` to `now`, 0 where it began after `now`; correct for up to 24 days."""
        elapsed_ms = (int(now * 1000) - began_ms) & self._MILLISECONDS
        return elapsed_ms / 1000 if elapsed_ms <= self._MILLISECONDS // 2 else 0.0

    def close(self) -> None:
        self._words.release()
        self._map.close()


_has_ended = itemgetter(1)
_EMPTY_BANK = memoryview(bytes(16 * CHUNK_TASKS)).cast("Q")
