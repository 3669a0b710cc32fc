"""A listener: told, on the daemon's thread, of everything that was just recorded: runs that ended, lines printed."""

from __future__ import annotations

from collections.abc import Callable

from ..core.run import Ending, Line, Task

Listener = Callable[[list[tuple[Task, Ending]], list[Line]], None]


def telling(*listeners: Listener) -> Listener:
    """A listener that tells several."""

    def tell(ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        for listener in listeners:
            listener(ended, lines)

    return tell
