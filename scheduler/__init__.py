"""A timer service: named timers call registered cloud functions, and every fire is accounted for.

What programs import:

    scheduler             Scheduler and AsyncScheduler, the service inside a program; Timer, its triggers, Cron, Every,
                          Calendrical, At, RRule and AnyOf, and the enums of its attributes: MisfirePolicy,
                          OverlapPolicy, Delivery, Environment
    scheduler.engine      Engine, the WSGI adapter of the LeanEngine protocol, with its errors and its middleware
    scheduler.functions   Registry: cloud functions without HTTP
    scheduler.timer       the same without Scheduler, and the base classes for packages that add a kind of trigger
    scheduler.core.run    the values that a Scheduler returns: Run, its Kind and its Outcome; Line
    scheduler.metrics     Metrics for Prometheus
    scheduler.testing     ManualScheduler, a Scheduler whose clock a test moves
    scheduler.errors      every error, drawn as a tree

The command line is scheduler.cli. docs/architecture.md describes the structure of the package.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .earlier_names import EarlierNames
from .install import explained

if TYPE_CHECKING:
    from .core.any_of import AnyOf
    from .core.at import At
    from .core.calendrical import Calendrical
    from .core.misfire import MisfirePolicy
    from .core.overlap import OverlapPolicy
    from .core.rrule import RRule
    from .core.timer import Delivery, Environment, Timer
    from .core.triggers import Cron, Every
    from .service import Scheduler
    from .service.async_scheduler import AsyncScheduler

__all__ = [
    "AnyOf",
    "AsyncScheduler",
    "At",
    "Calendrical",
    "Cron",
    "Delivery",
    "Environment",
    "Every",
    "MisfirePolicy",
    "OverlapPolicy",
    "RRule",
    "Scheduler",
    "Timer",
]

# What pickles, programs, settings and running daemons of version 0.1.0 name.
_MOVED = {
    "scheduler.backfill": "scheduler.claims.requested_runs",
    "scheduler.breaker": "scheduler.core.breaker",
    "scheduler.cli.source": "scheduler.project.preview_sources",
    "scheduler.declarations": "scheduler.store.declaration_sync",
    "scheduler.demo_cloud": "scheduler.cli.demo_cloud",
    "scheduler.executors.celery": "scheduler.fleet.executor",
    "scheduler.executors.process": "scheduler.workers.executor",
    "scheduler.executors.worker": "scheduler.workers.program",
    "scheduler.loglines": "scheduler.store.log_lines",
    "scheduler.run": "scheduler.core.run",
    "scheduler.timetable": "scheduler.store.timers",
}
sys.meta_path.append(EarlierNames(_MOVED))


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a cloud.py needs the engine only, and no database."""
    if name == "Scheduler":
        with explained("scheduler"):
            from .service import Scheduler
        return Scheduler
    if name == "AsyncScheduler":
        with explained("scheduler"):
            from .service.async_scheduler import AsyncScheduler
        return AsyncScheduler
    if name in __all__:
        from . import timer

        return getattr(timer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
