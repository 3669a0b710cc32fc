"""Reports every few seconds that a command is still loading the user's functions."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

#: How often to report it.
REPORT_EVERY_S = 5.0


@contextlib.contextmanager
def reporting_while_loading(what: str) -> Iterator[None]:
    """Within the block, report on stderr every REPORT_EVERY_S what is being loaded, and for how long."""
    is_over = threading.Event()
    stream, began = sys.stderr, time.monotonic()

    def report() -> None:
        while not is_over.wait(REPORT_EVERY_S):
            with contextlib.suppress(OSError, ValueError):
                print(f"loading {what} for {time.monotonic() - began:.0f} s …", file=stream, flush=True)

    thread = threading.Thread(target=report, name="loading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
