"""default_engine: the engine that `cloudfunc.run` calls locally: that of the calling function, else the newest.

An engine that was registered into another one is never chosen.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import Any, Protocol

from ..functions.registry import Registry


class LocalEngine(Protocol):
    """The part of an engine that `cloudfunc` needs: its functions, and a method that calls one by name."""

    registry: Registry

    def call(self, name: str, /, **params: Any) -> Any: ...


#: The engine that runs the call in progress.
current_engine: ContextVar[LocalEngine | None] = ContextVar("scheduler.current_engine", default=None)
_engines: list[weakref.ref[LocalEngine]] = []


def enlist(engine: LocalEngine) -> None:
    """Make an engine the newest."""
    _engines.append(weakref.ref(engine, _engines.remove))


def withdraw(engine: LocalEngine) -> None:
    """Never choose this engine again, because another one contains its functions now."""
    _engines[:] = [ref for ref in _engines if ref() is not engine]


def default_engine() -> LocalEngine | None:
    """The engine whose functions are called locally; None in a program without one."""
    if engine := current_engine.get():
        return engine
    return _engines[-1]() if _engines else None
