"""Recycling of a fleet's children: which one ends, after many functions or because it has grown large. Off by default.

A child ends between two messages, and the pool starts another one, which also gets the rest of a message that has more
runs than the first one may run.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace

from ..workers.recycling import memory_mb

log = logging.getLogger("scheduler.worker")


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """The most functions that a child runs, and the most megabytes that it takes after one; 0 = no limit."""

    max_runs: int = 0
    max_mb: int = 0

    def for_this_process(self) -> ChildLimits:
        """The limits without one of memory that children exceed before they run anything, as copies of this process."""
        used_mb = memory_mb(os.getpid())
        if not self.max_mb or used_mb <= self.max_mb:
            return self
        text = "worker_max_mb = %d is ignored: a worker that has run nothing yet takes %.0f MB"
        log.warning(text, self.max_mb, used_mb)
        return replace(self, max_mb=0)

    def are_reached(self, runs: int) -> bool:
        """Whether this process, which has run so many functions, has reached a limit."""
        if self.max_runs and runs >= self.max_runs:
            return True
        return bool(self.max_mb and runs and memory_mb(os.getpid()) > self.max_mb)


NO_LIMITS = ChildLimits()
