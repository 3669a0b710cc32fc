"""ProgressCell: shared memory in which a worker shows how far it is, so that a run costs no message."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter
from typing import Final

from .protocol import CHUNK_TASKS, TAG_SIZE


class ProgressCell:
    """The progress of a worker, which the daemon can read even after the worker was killed.

    Words of eight bytes: [0] the task begun last, [1] the revoked chunk, whose further tasks must not begin, [2] how
    many warm-ups the worker has finished, [3] the tag of its messages, [4] whether earlier runs left threads or
    processes behind. Then two banks, which chunks use in turn, with two words a task: when it started, and when it
    ended as a plain success. An aligned store of eight bytes is atomic; `struct.pack_into` would clear the bytes first.

        word 0:           bits 48-63 the chunk, modulo 2**16 · bits 32-47 the task's index · bits 0-31 milliseconds
        end of a task:    microseconds with bit 0 set, so that it differs from "not ended" whatever the clock shows

    All instants are monotonic. The worker first writes that it begins a task, and then checks whether the chunk is
    revoked. So a task that is not begun when the daemon reads the cell after a revocation never begins, wherever the
    kernel interrupts the worker.
    """

    SIZE: Final = 8_192
    _BANKS: Final = 8
    _MILLISECONDS: Final = 0xFFFF_FFFF
    #: The index that stands for "no task".
    _NO_TASK: Final = 0xFFFF

    def __init__(self, fileno: int) -> None:
        self._map = mmap.mmap(fileno, self.SIZE)
        self._words = memoryview(self._map).cast("Q")

    def _slot(self, chunk: int, index: int) -> int:
        return self._BANKS + (chunk & 1) * 2 * CHUNK_TASKS + 2 * index

    # The worker's side

    @classmethod
    def shielded(cls, fileno: int) -> ProgressCell:
        """Map the cell and close its descriptor, so that no function can write to it by a wrong number."""
        # The map keeps a duplicate, which gets the lowest free number.
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
        """Write that a task begins; check `is_revoked` afterwards."""
        self._words[0] = (chunk & 0xFFFF) << 48 | index << 32 | (now_us // 1000 & self._MILLISECONDS)

    def withdraw(self, chunk: int, index: int) -> None:
        """Write that this task does not begin after all."""
        last = index - 1 if index else self._NO_TASK
        self._words[0] = ((chunk if index else chunk - 1) & 0xFFFF) << 48 | last << 32

    def end(self, chunk: int, index: int, started_us: int, ended_us: int) -> None:
        """Write that a task succeeded, returned None and printed nothing."""
        slot = self._slot(chunk, index)
        self._words[slot] = started_us
        self._words[slot + 1] = ended_us | 1

    def is_revoked(self, chunk: int) -> bool:
        """Whether the daemon has taken back the rest of a chunk."""
        return self._words[1] == chunk

    def warmed_up(self) -> None:
        """Count a warm-up as finished."""
        self._words[2] += 1

    def show_left_over(self, is_left_over: bool) -> None:
        """Write whether earlier runs have left threads or processes behind, which may print."""
        self._words[4] = is_left_over

    # The daemon's side

    @property
    def has_left_over(self) -> bool:
        """Whether earlier runs have left threads or processes behind."""
        return bool(self._words[4])

    def new_tag(self) -> bytes:
        """Give the worker the tag of its messages, a random one."""
        self._words[3] = int.from_bytes(os.urandom(TAG_SIZE), "big")
        return self.tag

    @property
    def tag(self) -> bytes:
        return self._words[3:4].tobytes()

    @property
    def warm_ups(self) -> int:
        """How many warm-ups the worker has finished."""
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
        """Start and end of the tasks [first, last) of a chunk, up to the first that is not a plain success so far."""
        words = self._words[self._slot(chunk, first) : self._slot(chunk, last)].tolist()
        return takewhile(_has_ended, zip(words[::2], words[1::2], strict=True))

    def revoke(self, chunk: int) -> None:
        """Forbid the worker to begin more tasks of a chunk; SETTLED_S later, `begun` is final for that chunk."""
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
