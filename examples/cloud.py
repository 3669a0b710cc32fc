"""The functions of the example: one that a timer calls, and one that clients call."""

from __future__ import annotations

import platform

from scheduler.engine import Engine

engine = Engine()


@engine.timer(every=10, enabled=True)
@engine.define
def heartbeat() -> str:
    """Say in which container it ran."""
    print("heartbeat on", platform.node())
    return platform.node()


@engine.define
def hello(name: str = "world") -> str:
    """Greet a client."""
    return f"hello, {name}"
