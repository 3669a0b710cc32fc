"""Place: starts and watches one process of a generation, and restarts it when it ends or hangs.

Lives here: when a process is restarted, and how long the next attempt waits. Never here: the work of the process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .process import ChildProcess

log = logging.getLogger("scheduler.up")

#: The pauses before restarting an ended process: after the first end, the second in a row, and so on.
AFTER_END_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
#: The same for a process that does not start, because its code is probably broken.
AFTER_REFUSAL_S = (2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
#: After a process has been ready for this long, its end counts as the first one.
IS_SOUND_AFTER_S = 30.0
#: On a loaded machine, a process may be silent for up to this many times the bound, or this many seconds.
_MOST_PATIENCE, _MOST_PATIENCE_S = 4.0, 60.0
#: A silent process is killed after as much again, and this, even if its successor is not ready: clients that it has
#: accepted wait for it.
_WITHOUT_SUCCESSOR_S = 30.0
_MEMORY_EVERY_S, _MEMORY_NOT_AGAIN_S = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How to watch a process: `grown_bytes` is how much its memory may grow after it was ready, 0 = no bound.

    `overlaps`: its successor may start while it still runs.
    """

    name: str
    silence_s: float
    load_s: float
    overlaps: bool = True
    grown_bytes: int = 0


class Place:
    """One place in a generation; `start(is_first)` starts a process for it."""

    def __init__(self, policy: WatchPolicy, start: Callable[[bool], ChildProcess]) -> None:
        self.policy = policy
        self._start = start
        #: The process that serves, and its successor that is starting.
        self.current: ChildProcess | None = None
        self.coming: ChildProcess | None = None
        self._replaced = 0
        self._is_first = True
        self._start_at = 0.0
        self._ends_in_a_row = 0
        self._refusals_in_a_row = 0
        self._wants_another = False
        self._memory_at = 0.0
        self._memory_when_ready = 0

    @property
    def processes(self) -> list[ChildProcess]:
        """The running processes."""
        return [process for process in (self.current, self.coming) if process is not None]

    def report(self, what: str) -> dict[str, Any]:
        """The report `loaded` or `ready` of a process here, of the one that serves first; else empty."""
        reports = [report for process in self.processes if (report := getattr(process, what))]
        return reports[0] if reports else {}

    @property
    def has_loaded(self) -> bool:
        """Whether the functions have been loaded here, or the first attempt has failed."""
        return bool(self.report("loaded")) or (not self._is_first and self.coming is None)

    def take_replaced(self) -> int:
        """The number of replacements since the last call."""
        taken, self._replaced = self._replaced, 0
        return taken

    def begin(self) -> None:
        """Start the first process; OSError if the machine cannot."""
        self.coming, self._is_first = self._start(True), False

    def tick(self, now: float, retire: Callable[[ChildProcess], None]) -> None:
        """Check the processes, and start a missing one; `retire` ends a process that was replaced."""
        if self.current is not None and not self._is_sound(self.current, now):
            retire(self.current)
            self.current = None
        if self.coming is not None:
            self._look_at_coming(self.coming, now, retire)
        elif self._needs_another and now >= self._start_at:
            self._start_another(now)

    @property
    def _needs_another(self) -> bool:
        """Whether to start a process; one that must not overlap waits until the last one has ended."""
        if self._is_first or (self.current is not None and not self.policy.overlaps):
            return False
        return self.current is None or self._wants_another

    def _start_another(self, now: float) -> None:
        try:
            self.coming = self._start(False)
        except OSError as error:
            self._after_refusal(now)
            log.error("%s cannot be started (%s); trying again%s", self.policy.name, error, self._when(now))

    def _after_refusal(self, now: float) -> None:
        self._start_at = now + _of(AFTER_REFUSAL_S, self._refusals_in_a_row)
        self._refusals_in_a_row += 1

    def _is_sound(self, process: ChildProcess, now: float) -> bool:
        """Whether to keep a process; one that overlaps is kept until its successor is ready, or for a bounded time."""
        if (status := process.exit_status()) is not None:
            self._after_end(now, process)
            if not self._wants_another:
                log.error("%s ended with status %d; starting another one%s", self.policy.name, status, self._when(now))
            return False
        if process.cannot_be_killed(now):
            log.error("%s was killed, but the kernel has not ended it; continuing without it", self.policy.name)
            self._start_at = now
            return False
        patience_s = min(_MOST_PATIENCE_S, self.policy.silence_s * _patience())
        if self._wants_another:
            self._kill_without_successor(process, patience_s)
            return True
        if process.is_silent(patience_s):
            log.error("%s has not answered for %.0f s; starting another one", self.policy.name, process.silent_s)
            self._wants_another, self._start_at = True, now
            if self.policy.overlaps:
                self._replaced += 1
            else:
                process.kill()
        elif self._has_grown(process, now):
            self._wants_another, self._start_at = True, now
            self._replaced += 1
        return True

    def _kill_without_successor(self, process: ChildProcess, patience_s: float) -> None:
        """Kill a process that stays silent although its successor has had time to become ready."""
        if process.silent_s > 2 * patience_s + _WITHOUT_SUCCESSOR_S and not process.is_killed:
            log.error(
                "%s has not answered for %.0f s, and no other one is ready yet; killing it",
                self.policy.name,
                process.silent_s,
            )
            process.kill()

    def _after_end(self, now: float, process: ChildProcess) -> None:
        if not (self._wants_another and self.policy.overlaps):
            # Otherwise it was counted when its successor was wanted.
            self._replaced += 1
        if now - process.ready_at >= IS_SOUND_AFTER_S:
            self._ends_in_a_row = 0
        self._start_at = now + _of(AFTER_END_S, self._ends_in_a_row)
        self._ends_in_a_row += 1

    def _when(self, now: float) -> str:
        return f" in {self._start_at - now:.0f} s" if self._start_at > now else ""

    def _has_grown(self, process: ChildProcess, now: float) -> bool:
        if not self.policy.grown_bytes or now < self._memory_at:
            return False
        self._memory_at = now + _MEMORY_EVERY_S
        grown = process.memory_bytes - self._memory_when_ready
        if grown <= self.policy.grown_bytes:
            return False
        self._memory_at = now + _MEMORY_NOT_AGAIN_S
        log.warning("%s has taken %d MB more since it was ready; replacing it", self.policy.name, grown // 1_000_000)
        return True

    def _look_at_coming(self, process: ChildProcess, now: float, retire: Callable[[ChildProcess], None]) -> None:
        if process.ready is not None:
            if self.current is not None:
                retire(self.current)
            self.current, self.coming, self._wants_another = process, None, False
            self._refusals_in_a_row, self._memory_when_ready = 0, process.memory_bytes
            return
        is_late = now - process.began_at > self.policy.load_s
        if is_late:
            process.kill()
        if is_late or process.exit_status() is not None:
            self.coming = None
            retire(process)
            self._after_refusal(now)
            why = f"is not ready within {self.policy.load_s:g} s" if is_late else "does not start"
            log.error("%s %s; trying again%s", self.policy.name, why, self._when(now))


def _of(pauses: tuple[float, ...], count: int) -> float:
    return pauses[min(count, len(pauses) - 1)]


def _patience() -> float:
    """The factor by which the load of the machine may delay an answer."""
    try:
        load = os.getloadavg()[0]
    except OSError:  # the system does not know it
        load = 0.0
    return min(_MOST_PATIENCE, max(1.0, load / (os.cpu_count() or 1)))
