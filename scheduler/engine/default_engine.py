"""Which engine `cloudfunc.run` means when it calls locally: the one that runs the calling function, else the newest.

Lives here: that choice and nothing else. An engine that was registered into another one is never the root.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Engine

serving: ContextVar[Engine | None] = ContextVar("scheduler.serving_engine", default=None)
_engines: list[weakref.ref[Engine]] = []


def enlist(engine: Engine) -> None:
    """Make an engine the newest."""
    _engines.append(weakref.ref(engine, _engines.remove))


def withdraw(engine: Engine) -> None:
    """Never choose that engine again, because another one has taken over its functions."""
    _engines[:] = [ref for ref in _engines if ref() is not engine]


def root_engine() -> Engine | None:
    """The engine whose functions are called locally, None in a program without one."""
    if engine := serving.get():
        return engine
    return _engines[-1]() if _engines else None
