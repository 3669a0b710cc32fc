"""RawPipes: the pipes for stdout and stderr of a process that answers HTTP, which reads them itself (raw_output.py).

The supervisor keeps the reading ends too, and prints what a process had not read when it died. A process without a
supervisor makes the pipes itself, and its unread output is lost when it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence

import click

from ..formats import display

_READ_SIZE, _READS = 65_536, 16
#: Large, because C code that holds the GIL and fills a pipe would block the process that reads it.
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
        """New pipes; None if this process has no stdout or stderr itself."""
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
        """Close the child's ends, once the child has inherited them."""
        for descriptor in (*self.far, *self.terminal):
            os.close(descriptor)

    def close(self) -> None:
        """Close the reading ends and the terminal's descriptors."""
        for descriptor in self.near:
            os.close(descriptor)

    def print_rest(self) -> None:
        """Print unread output to stderr, and close."""
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
    """Within the block, the descriptors 1 and 2 of this process are pipes; yields the reading ends.

    Yields None if it has no stdout or stderr. Its own messages must go to other descriptors.
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
        # The reading ends stay open for the thread that reads, which ends because there is no writer any more.
        for number, terminal in enumerate(pipes.terminal, 1):
            os.dup2(terminal, number)
            os.close(terminal)
