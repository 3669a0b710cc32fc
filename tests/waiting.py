"""Waiting for what another thread will do soon."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(is_so: Callable[[], object]) -> None:
    """Wait until something is so, at most five seconds."""
    until = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < until, "never came true"
        time.sleep(0.001)
