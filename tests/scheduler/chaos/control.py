"""Cancels runs and pauses timers while faults go on, and records what was answered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from sqlalchemy import select

from scheduler.claims.cancellations import request_cancel
from scheduler.clock import SystemClock
from scheduler.core.run import Outcome
from scheduler.errors import RunError, StoreError, TimerError
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.schema import runs
from tests.scheduler.chaos.timetable import PAUSED_TAG, Paused, Timetable, micros

#: One of the latest open runs is cancelled.
_LATEST = 30
_RETRY_S = 0.3


class Control:
    """What a user does with runs and timers; `note` writes it down."""

    def __init__(self, store: Store, timetable: Timetable, note: Callable[[str], None]) -> None:
        self._store, self._timetable, self._note = store, timetable, note
        self._pauses = PauseTable(store)
        #: When the pause in force was known to be so.
        self._paused_at: int | None = None

    def cancel(self, dice: random.Random) -> None:
        """Cancel a run that goes on or waits."""
        try:
            if not (run_ids := self._open_runs()):
                return
        except StoreError:
            return
        run_id = dice.choice(run_ids)
        try:
            run = request_cancel(self._store, run_id, now=SystemClock().now())
        except RunError:
            return  # it has ended, or was released and is due again
        except StoreError as error:
            self._timetable.perhaps_cancelled.add(run_id)
            self._note(f"cancel run {run_id}, without an answer: {error}")
            return
        self._timetable.cancelled[run_id] = run.outcome is Outcome.CANCELLED
        self._note(f"cancel run {run_id} of {run.timer}: {run.outcome or 'requested'}")

    def _open_runs(self) -> list[int]:
        is_open = select(runs.c.id).where(runs.c.outcome.is_(None))
        with self._store.reading() as connection:
            return list(connection.execute(is_open.order_by(runs.c.id.desc()).limit(_LATEST)).scalars())

    def pause_or_resume(self, dice: random.Random) -> None:
        """Pause some timers, or end their pause; what was missed then runs by their policies, or is skipped."""
        if self._paused_at is None:
            self._until_applied("pause", lambda: self._pauses.pause(tag=PAUSED_TAG, now=SystemClock().now()))
            self._paused_at = micros(SystemClock().now())
        else:
            self.resume(skip=dice.random() < 0.5)

    def resume(self, *, skip: bool = False) -> None:
        """End the pause, if there is one."""
        if self._paused_at is None:
            return
        ending = micros(SystemClock().now())
        resume = "resume and skip" if skip else "resume"
        self._until_applied(resume, lambda: self._pauses.resume(tag=PAUSED_TAG, now=SystemClock().now(), skip=skip))
        self._timetable.paused.append(Paused(self._paused_at, ending))
        self._paused_at = None

    def _until_applied(self, text: str, change: Callable[[], object]) -> None:
        while True:
            try:
                change()
            except TimerError:
                pass  # ended by the try before, whose answer was lost
            except StoreError as error:
                self._note(f"{text}: {error}")
                time.sleep(_RETRY_S)
                continue
            self._note(text)
            return
