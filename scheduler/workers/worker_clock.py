"""The clocks of a process that runs functions; they stay right whatever a function does to the module `time`.

A function may leave `time.time_ns = lambda: 0` behind, or a frozen clock of a test library, which replaces names in all
modules. So closures hold the clocks, and the worker uses the monotonic clock, which such libraries leave alone; the
daemon converts the worker's instants to the wall clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def _monotonic() -> Callable[[], int]:
    if sys.platform != "linux":
        monotonic_ns = time.monotonic_ns
        return lambda: monotonic_ns() // 1000
    read, clock = time.clock_gettime_ns, time.CLOCK_MONOTONIC
    return lambda: read(clock) // 1000


def _wall() -> Callable[[], int]:
    time_ns = time.time_ns
    return lambda: time_ns() // 1000


#: Microseconds of `time.monotonic()`, which all processes of the machine share.
monotonic_us = _monotonic()
#: Microseconds since 1970.
wall_us = _wall()
