"""give_back: when the daemon stops, it releases the claims of tasks that have not begun, for other daemons to run."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from ..clock import Clock
from .claim_ahead import ClaimAhead
from .dispatch import Dispatch

log = logging.getLogger("scheduler.daemon")

#: How long executors may take to withdraw tasks that have not begun.
SETTLE_S = 0.005


def give_back(dispatch: Dispatch, claim_ahead: ClaimAhead, now: datetime) -> None:
    """Release the claims of all tasks that executors and `claim_ahead` hold and that have not begun."""
    dispatch.withdraw()
    # The watch may withdraw more while the store keeps this thread waiting.
    unbegun = list(dispatch.unbegun)
    claim_ahead.give_back(unbegun, now)
    if unbegun:
        del dispatch.unbegun[: len(unbegun)]
        log.info("gave back %d runs that had not begun", len(unbegun))


def give_back_all(dispatch: Dispatch, claim_ahead: ClaimAhead, clock: Clock) -> None:
    """The same at the end: also the tasks that executors take a moment to withdraw."""
    dispatch.withdraw()
    time.sleep(SETTLE_S)
    give_back(dispatch, claim_ahead, clock.now())
