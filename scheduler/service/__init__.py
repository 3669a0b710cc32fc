"""The service inside a program: Scheduler, whose timers fire in threads or processes of the program.

scheduler.py   Scheduler: its daemon, runs, and waiting for them
timers.py      ManagedTimers: the methods of a Scheduler for its timers
"""

from .scheduler import Scheduler

__all__ = ["Scheduler"]
