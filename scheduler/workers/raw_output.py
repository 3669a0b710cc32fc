"""RawOutput: what child processes and C code of a worker write to the descriptors 1 and 2, past sys.stdout."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..core.log_limits import LineCutter

_READ_SIZE = 65_536
#: The most reads a turn, so that a worker with much output cannot hold up the daemon.
_READS_A_TURN = 16


class RawOutput:
    """Reads the two pipes of one worker, and calls `emit(level, text)` with each line."""

    def __init__(self, emit: Callable[[str, str], None]) -> None:
        out, self._out_far = os.pipe()
        err, self._err_far = os.pipe()
        self._cutters = {
            out: LineCutter(lambda text: emit("info", text)),
            err: LineCutter(lambda text: emit("error", text)),
        }
        for descriptor in self._cutters:
            os.set_blocking(descriptor, False)

    @property
    def far_ends(self) -> tuple[int, int]:
        """The worker's ends, for its descriptors 1 and 2."""
        return self._out_far, self._err_far

    def close_far_ends(self) -> None:
        """Close the worker's ends in this process, once the worker has inherited them."""
        for descriptor in self.far_ends:
            os.close(descriptor)

    def filenos(self) -> list[int]:
        return list(self._cutters)

    def read(self, *, to_the_end: bool = False) -> None:
        """Read the output so far; `to_the_end` of a run also emits its unfinished line."""
        closed = []
        for descriptor, cutter in self._cutters.items():
            try:
                for _ in range(_READS_A_TURN):
                    data = os.read(descriptor, _READ_SIZE)
                    if not data:
                        # Every writer has closed the pipe, which stays readable from then on.
                        closed.append(descriptor)
                        break
                    cutter.feed(data.decode("utf-8", "replace"))
            except BlockingIOError:
                pass
            if to_the_end or closed:
                cutter.finish()
        for descriptor in closed:
            del self._cutters[descriptor]
            os.close(descriptor)

    def close(self) -> None:
        for descriptor in self._cutters:
            os.close(descriptor)
        self._cutters.clear()
