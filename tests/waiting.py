"""Waiting for what another thread or process does: a message, a row, a file; and bounds of time on a busy machine.

Tests wait for a condition, never for a fixed time: that is too short on a busy machine and too long on all others.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Seen = TypeVar("Seen")

#: Only a test that fails waits as long, so it is generous; `eventually` waits longer on a busy machine.
PATIENCE_S = 60.0
#: The pause between two looks doubles from the first of these up to the second.
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.001, 0.05
#: After a look that takes longer than the pause, it is as long as the look, but no longer than this.
_LONGEST_PAUSE_S = 0.5
#: The most processes that wanted a processor at once, in any look at the machine since the test began.
_busiest = 0.0


def eventually(
    look: Callable[[], Seen],
    is_enough: Callable[[Seen], object] = bool,
    *,
    within_s: float | None = None,
    between: Callable[[], object] | None = None,
) -> Seen:
    """The first value of `look` that is enough, by default the first that is true.

    `between` is called between two looks, where something has to be done so that the condition can come true; it is
    to wait a moment. By default that is all that happens.

    Raises AssertionError with the condition and the last value after `within_s` seconds, by default PATIENCE_S, as
    they hold on this machine.
    """
    __tracebackhide__ = True
    since = time.monotonic()
    pause_s = _FIRST_PAUSE_S
    while True:
        began_at = time.monotonic()
        if is_enough(seen := look()):
            return seen
        look_s = time.monotonic() - began_at
        patience_s = slowed(PATIENCE_S)  # looks at the load in any case, for a later `slowed`
        most_s = patience_s if within_s is None else within_s
        assert time.monotonic() < since + most_s, f"waited {most_s:g} s for: {_text(look)}; last saw {seen!r:.2000}"
        if between is None:
            time.sleep(max(pause_s, min(look_s, _LONGEST_PAUSE_S)))
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        else:
            between()


def slowdown() -> float:
    """How much longer something may have taken than on an idle machine: the processes for each processor, at least 1.

    As it was when the machine was busiest since the test began, as far as `eventually` has seen: the processes of a
    test, which end before it asserts, are a part of its load.
    """
    _look_at_the_load()
    return max(1.0, _busiest / (os.cpu_count() or 1))


def begin_test() -> None:
    """Forget how busy the machine was during earlier tests."""
    global _busiest  # noqa: PLW0603
    _busiest = 0.0


def _look_at_the_load() -> None:
    global _busiest  # noqa: PLW0603
    running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    _busiest = max(_busiest, running, os.getloadavg()[0])


def slowed(seconds: float) -> float:
    """A bound of time that holds on an idle machine, as it holds on this one."""
    return seconds * slowdown()


def _text(look: Callable[[], object]) -> str:
    """The lines of a lambda, the name of any other function."""
    if getattr(look, "__name__", "") != "<lambda>":
        return repr(look)
    try:
        return " ".join(inspect.getsource(look).split())
    except OSError:
        return repr(look)
