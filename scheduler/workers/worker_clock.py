"""The clocks of a process that runs functions, which stay right whatever a function does to the module `time`.

A function may leave `time.time_ns = lambda: 0` behind, or a frozen clock of a test library, which replaces names in all
modules and what the functions of `time` do. So the clocks are held by closures, and the worker's is the one that such
libraries leave alone: it shows the daemon monotonic instants, of which the daemon makes those of the wall clock.
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
