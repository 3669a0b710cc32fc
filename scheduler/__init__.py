"""A timer service: named timers call registered cloud functions, and every fire is accounted for.

    scheduler.Scheduler   the service inside a program of yours
    scheduler.timer       Timer and its triggers, Cron and Every
    scheduler.engine      the WSGI adapter that answers the LeanEngine protocol
    scheduler.testing     a Scheduler on a clock that your test moves
    scheduler.cli         the command line: up, timers, runs, logs, call, next, demo

How it is built, and who may import whom, is described in docs/architecture.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.timer import Cron, Every, Timer
    from .service import Scheduler

__all__ = ["Cron", "Every", "Scheduler", "Timer"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: a cloud.py needs the engine alone, and no database."""
    if name == "Scheduler":
        from .service import Scheduler

        return Scheduler
    if name in __all__:
        from .core import timer

        return getattr(timer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
