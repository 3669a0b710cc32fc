"""The service inside a program: Scheduler, in threads or processes; AsyncScheduler, in an event loop."""

from .scheduler import Scheduler

__all__ = ["Scheduler"]
