"""The pipes for stdout and stderr of a process that answers HTTP, which it reads itself (raw_calls.py).

The supervisor keeps the reading ends too: what a process that died has not read, its last words say, is printed here.
A process without a supervisor makes the pipes itself, and what it has not read is lost with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence

import click

from ..formats import display

_READ_SIZE, _READS = 65_536, 16
#: A process that reads its own pipes stands still when C code that holds the interpreter has filled one.
_OWN_PIPE_BYTES = 1_000_000


class RawPipes:
    """Two pipes, and the descriptors of the terminal for the process's own messages."""

    def __init__(self, terminal: tuple[int, int], out: tuple[int, int], err: tuple[int, int]) -> None:
        self.terminal = terminal
        self.near, self.far = (out[0], err[0]), (out[1], err[1])
        for descriptor in self.near:
            os.set_blocking(descriptor, False)

    @classmethod
    def made(cls) -> RawPipes | None:
        """The pipes; None where this process has no stdout or stderr itself."""
        opened: list[int] = []
        try:
            opened += (os.dup(1), os.dup(2))
            opened += os.pipe()
            opened += os.pipe()
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            return None
        return cls((opened[0], opened[1]), (opened[2], opened[3]), (opened[4], opened[5]))

    def close_far(self) -> None:
        """The process has its own descriptors."""
        for descriptor in (*self.far, *self.terminal):
            os.close(descriptor)

    def close(self) -> None:
        """Nobody reads any more."""
        for descriptor in self.near:
            os.close(descriptor)

    def print_rest(self) -> None:
        """Print to stderr what has not been read, and close."""
        for descriptor in self.near:
            data = b""
            with contextlib.suppress(BlockingIOError):
                for _ in range(_READS):
                    if not (piece := os.read(descriptor, _READ_SIZE)):
                        break
                    data += piece
            for line in data.decode("utf-8", "replace").splitlines():
                click.echo(display.plain(line), err=True)
        self.close()


@contextlib.contextmanager
def own_pipes() -> Iterator[Sequence[int] | None]:
    """Within the block, the descriptors 1 and 2 of this very process are pipes; yields the reading ends.

    None where it has no stdout or stderr. Its own messages must go by other descriptors.
    """
    pipes = RawPipes.made()
    if pipes is None:
        yield None
        return
    for number, far in enumerate(pipes.far, 1):
        with contextlib.suppress(OSError, AttributeError):  # not on every system
            fcntl.fcntl(far, fcntl.F_SETPIPE_SZ, _OWN_PIPE_BYTES)
        os.dup2(far, number)
        os.close(far)
    try:
        yield pipes.near
    finally:
        # The reading ends stay open, for the thread that reads: nobody writes any more, so it ends.
        for number, terminal in enumerate(pipes.terminal, 1):
            os.dup2(terminal, number)
            os.close(terminal)
