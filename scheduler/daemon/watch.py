"""Watch: enforces limits, hands out tasks and stops runs while the daemon's loop waits for the store.

A server that does not answer, a lock or a disk may keep the loop waiting. The watch is the thread that called
`Daemon.run`, and it never uses the store. When the loop has been waiting for ACT_AFTER_S, the watch enforces the limits
of runs, hands out the tasks that were claimed ahead, and ends the runs in progress after a second `stop`. It keeps the
reports of the executors for the loop. When the daemon stops, the watch ends with the loop or, in bounded time, without
it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from ..clock import Clock
from ..executors import Report
from ..store.database import Store
from .claim_ahead import ClaimAhead
from .dispatch import Dispatch
from .health import Health
from .store_calls import ACT_AFTER_S, LoopGivenUp, StoreCalls

log = logging.getLogger("scheduler.daemon")

#: A daemon that stops gives up its loop when a call of the store has exceeded its deadline by this much: a server's
#: call ends by itself, but not one on a disk that hangs.
GIVE_UP_S = 10.0
#: How long the loop has in any case after a stop, even after a second one, to record the runs that have ended.
LAST_CALL_S = 1.0
#: How long after a second stop the loop is given up in any case.
STUCK_S = 30.0


class Watch:
    """The watch of one loop; it also holds whether `stop` was called."""

    def __init__(self, calls: StoreCalls, store: Store, clock: Clock, health: Health) -> None:
        self._calls = calls
        self._store = store
        self._clock = clock
        self._health = health
        self._stops = 0
        #: When `stop` was called last.
        self._stopped_at = 0.0
        self._sleeps_until = 0.0
        self._reports: list[Report] = []
        self._cut_call: float | None = None
        self._next_act_s = ACT_AFTER_S
        #: Which of the two threads ends last, and so closes what both use: decided under this lock.
        self._ending = threading.Lock()
        self._has_ended = self._is_left = False

    def guard(self, dispatch: Dispatch, claim_ahead: ClaimAhead) -> None:
        """Set the parts that the watch uses while the loop waits."""
        self._dispatch = dispatch
        self._claim_ahead = claim_ahead

    # Called from any thread

    def stop(self) -> None:
        """Begin no more runs; the second call also ends the runs in progress. Safe from a signal handler."""
        self._stops += 1
        self._stopped_at = time.monotonic()
        self._calls.wake()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called, so that no more runs begin."""
        return self._stops > 0

    @property
    def is_ending(self) -> bool:
        """Whether `stop` was called twice, so that runs in progress are ended."""
        return self._stops > 1

    # The loop's side

    def take_reports(self) -> list[Report]:
        """The reports of the executors while the loop waited, oldest first."""
        reports, self._reports = self._reports, []
        return reports

    def sleeps_until(self, instant: float) -> None:
        """Note that the loop is about to sleep until `instant`, in monotonic seconds."""
        self._sleeps_until = instant

    # The watch's side

    def run(self, loop: Callable[[], None], stop: Callable[[], None]) -> None:
        """Run the loop in a thread of its own until it has ended or has to be given up; `stop` asks it to end."""
        self._calls.open()
        errors: list[BaseException] = []
        thread = threading.Thread(
            target=self._run_loop, args=(loop, errors), name=f"{threading.current_thread().name} loop", daemon=True
        )
        thread.start()
        try:
            self._watch_over(thread)
        except BaseException:
            # A KeyboardInterrupt, for example, which only this thread receives.
            if not self._is_left:
                stop()
                stop()
                self._watch_over(thread)
            raise
        if errors:
            raise errors[0]

    def _run_loop(self, loop: Callable[[], None], errors: list[BaseException]) -> None:
        try:
            loop()
        except LoopGivenUp:
            pass
        except BaseException as error:
            errors.append(error)
        with self._ending:
            self._has_ended = True
            if self._is_left:
                self._calls.close()
            else:
                self._calls.wake()

    def _leave(self) -> bool:
        """End without the loop, which closes the calls when it ends; False if it has ended meanwhile."""
        with self._ending:
            self._is_left = not self._has_ended
            return self._is_left

    def _watch_over(self, thread: threading.Thread) -> None:
        while not self._has_ended:
            try:
                self._calls.sleep(self._pause_s())
            except OSError:
                threading.Event().wait(ACT_AFTER_S)
            if self._calls.since is not None:
                self._act_if_away()
                if self._must_give_up() and self._give_up() and self._leave():
                    return
            else:
                self._health.turn_is_slow(thread.ident or 0)
                if self.is_ending and time.monotonic() - self._stopped_at > STUCK_S and self._leave():
                    log.error("the daemon is ending without its loop, which has not come to an end in %g s", STUCK_S)
                    return
        thread.join()
        self._calls.close()

    def _pause_s(self) -> float:
        """How long to sleep; a call of the store that begins earlier wakes the watch."""
        away_s = self._calls.away_s()
        if away_s:
            return self._next_act_s if away_s >= ACT_AFTER_S else ACT_AFTER_S - away_s
        if self._health.turn_s:
            return ACT_AFTER_S
        # The loop's first call after its sleep sees that the watch wakes up soon anyway, and need not wake it.
        return max(0.0, self._sleeps_until - time.monotonic()) + ACT_AFTER_S

    def _act_if_away(self) -> None:
        away_s = self._calls.away_s()
        if away_s < ACT_AFTER_S:
            return
        self._health.loop_waits(away_s, self._calls.subject)
        with self._calls.in_its_place() as is_away:
            if is_away:
                try:
                    self._act()
                except Exception:
                    self._next_act_s = ACT_AFTER_S
                    log.exception("unexpected error while the store does not answer")
        if away_s >= self._store.timeout_s:
            self._cut()

    def _act(self) -> None:
        """Collect, which enforces the limits, and hand out due tasks; the caller has the lock."""
        if self.is_ending:
            self._dispatch.stop_local()
            return
        if self.is_stopping:
            self._dispatch.withdraw()
        self._reports += self._dispatch.collect_local()
        now = self._clock.now()
        if not self.is_stopping and (due := self._claim_ahead.due_meanwhile(now, without=self._dispatch.fleets)):
            self._reports.append(self._dispatch.hand_out(due, now))
        next_due = self._claim_ahead.next_due
        due_in_s = ACT_AFTER_S if next_due is None else (next_due - now).total_seconds()
        wait_s = min(ACT_AFTER_S, due_in_s, *self._dispatch.next_checks_s())
        # Tasks that cannot be handed out now stay due.
        self._next_act_s = wait_s if wait_s > 0 else ACT_AFTER_S

    def _cut(self) -> None:
        """Interrupt once the statement that the loop waits for; a server's answer has its own time limit."""
        since, connection = self._calls.since, self._calls.connection
        if since is not None and connection is not None and since != self._cut_call:
            self._cut_call = since
            # The loop may be closing the connection.
            with contextlib.suppress(Exception):
                self._store.cut(connection)

    # When the daemon stops

    def _must_give_up(self) -> bool:
        away_s = self._calls.away_s()
        if not self.is_stopping or min(away_s, time.monotonic() - self._stopped_at) <= LAST_CALL_S:
            return False
        return self.is_ending or (not self._dispatch.running and away_s > self._store.timeout_s + GIVE_UP_S)

    def _give_up(self) -> bool:
        """End the daemon without the loop, which ends later; False if the loop has just come back."""
        with self._calls.in_its_place() as is_away:
            if not is_away:
                return False
            self._calls.is_given_up = True
            self._dispatch.stop_local()
        log.error(
            "%s: no answer for %.0f s; ending without it. The next daemon records the runs that are open as abandoned",
            self._store,
            self._calls.away_s(),
        )
        return True
