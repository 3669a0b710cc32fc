"""Tracebacks for users, which begin at the first frame of the user's code.

Lives here: which frames are ours. Never here: where a traceback is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

#: The packages whose frames may precede the user's function: this one, and the loop that runs an `async def`.
_OURS = frozenset({"scheduler", "asyncio"})


def from_users_frame(error: E) -> E:
    """The exception; its traceback and those of its causes lose our frames before the first frame of the user's code.

    A traceback without a frame of the user's code stays whole, because then the fault is in this program.
    """
    for each in _chain(error):
        each.__traceback__ = _users(each.__traceback__) or each.__traceback__
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]


def _users(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    return trace


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__package__") or "").partition(".")[0] in _OURS
