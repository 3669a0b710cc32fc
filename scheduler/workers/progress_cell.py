"""ProgressCell: shared memory in which a worker shows how far it is, so that a run costs no message."""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter
from typing import Final

from .protocol import CHUNK_TASKS, TAG_SIZE


class ProgressCell:
    """How far a worker is, readable even after it was killed.

    Words of eight bytes: [0] the task begun last, [1] the revoked chunk, of which no further task may begin, [2] how
    many warm-ups were gone through, [3] the tag of the worker's messages, [4] whether earlier runs left threads or
    processes behind, then two banks, used by chunks in turn, of
    two words a task: when it started, and when it ended as a plain success. An aligned store of eight bytes is never
    seen half done; `struct.pack_into` would clear the bytes first.

        word 0:           bits 48-63 the chunk, modulo 2**16 · bits 32-47 the task's index · bits 0-31 milliseconds
        end of a task:    microseconds with bit 0 set, so that it differs from "not ended" whatever the clock shows

    All instants are monotonic. The worker shows that it begins a task first, and then looks whether the chunk is
    revoked: so what is neither begun nor ended after a revocation never begins, wherever the kernel interrupts it.
    """

    SIZE: Final = 8_192
    _BANKS: Final = 8
    _MILLISECONDS: Final = 0xFFFF_FFFF
    #: The index of a begun task that is none.
    _NO_TASK: Final = 0xFFFF

    def __init__(self, fileno: int) -> None:
        self._map = mmap.mmap(fileno, self.SIZE)
        self._words = memoryview(self._map).cast("Q")

    def _slot(self, chunk: int, index: int) -> int:
        return self._BANKS + (chunk & 1) * 2 * CHUNK_TASKS + 2 * index

    # The worker's side

    @classmethod
    def shielded(cls, fileno: int) -> ProgressCell:
        """The cell of a descriptor, which is closed, so that no function can write to it by a wrong number."""
        # The map keeps a duplicate, with the lowest number that is free.
        duplicate = os.dup(fileno)
        os.close(duplicate)
        cell = cls(fileno)
        if os.path.sameopenfile(fileno, duplicate):
            nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(nowhere, duplicate, inheritable=False)
            os.close(nowhere)
        os.close(fileno)
        return cell

    def begin(self, chunk: int, index: int, now_us: int) -> None:
        """Show that a task begins, unless `is_revoked` says otherwise afterwards."""
        self._words[0] = (chunk & 0xFFFF) << 48 | index << 32 | (now_us // 1000 & self._MILLISECONDS)

    def withdraw(self, chunk: int, index: int) -> None:
        """Show that the task that was to begin does not."""
        last = index - 1 if index else self._NO_TASK
        self._words[0] = ((chunk if index else chunk - 1) & 0xFFFF) << 48 | last << 32

    def end(self, chunk: int, index: int, started_us: int, ended_us: int) -> None:
        """Show that a task succeeded, returned None and printed nothing."""
        slot = self._slot(chunk, index)
        self._words[slot] = started_us
        self._words[slot + 1] = ended_us | 1

    def is_revoked(self, chunk: int) -> bool:
        """Whether the daemon has taken back the rest of a chunk."""
        return self._words[1] == chunk

    def warmed_up(self) -> None:
        """Show that one more warm-up was gone through."""
        self._words[2] += 1

    def show_left_over(self, is_left_over: bool) -> None:
        """Show whether earlier runs have left threads or processes behind, which may print."""
        self._words[4] = is_left_over

    # The daemon's side

    @property
    def has_left_over(self) -> bool:
        """Whether earlier runs have left threads or processes behind."""
        return bool(self._words[4])

    def new_tag(self) -> bytes:
        """Give the worker the tag of its messages, a random one."""
        self._words[3] = secrets.randbits(8 * TAG_SIZE)
        return self.tag

    @property
    def tag(self) -> bytes:
        return self._words[3:4].tobytes()

    @property
    def warm_ups(self) -> int:
        """How many warm-ups the worker has gone through."""
        return self._words[2]

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
