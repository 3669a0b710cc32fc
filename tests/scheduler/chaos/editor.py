"""Changes timers while faults go on, and records when each was enabled with which schedule.

A change whose answer is lost is looked up in the store, and tried again where it was not applied.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from quartzcron.calendars import WorkingDays
from scheduler.claims.requested_runs import request_run
from scheduler.clock import SystemClock
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Every
from scheduler.errors import StoreError, UnknownTimerError
from scheduler.store.calendars import CalendarTable
from scheduler.store.database import Store
from scheduler.store.timers import StoredTimer, TimerTable
from tests.scheduler.chaos import timetable
from tests.scheduler.chaos.control import Control
from tests.scheduler.chaos.timetable import (
    BUSY,
    CALENDAR,
    HEALTHY,
    ON_WORKING_DAYS,
    Entry,
    Grid,
    Phase,
    Timetable,
    micros,
)
from tests.waiting import eventually, slowed

#: Timers that are added, changed and removed all the time, and one that only runs when asked to.
EDITED, ASKED = ("first", "other"), "asked"
_PRODUCTION = Environment.PRODUCTION
_EVERY_DAY = WorkingDays("SUN-SAT")


class Editor:
    """Adds the timers, and then changes some of them in a thread of its own."""

    def __init__(self, store: Store, notes: Path, deeds: list[str]) -> None:
        self.timetable = Timetable()
        self._store, self._notes, self._deeds = store, notes, deeds
        self._timers = TimerTable(store)
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self.log: list[str] = []
        self.error: BaseException | None = None
        self._windows, self._is_off = 0, False
        self._control = Control(store, self.timetable, self._note)

    def add_all(self) -> None:
        """Add every timer; nothing is broken yet."""
        now = SystemClock().now()
        entries = {entry.name: entry for entry in (*HEALTHY, *BUSY)}
        new = [timetable.timer_of(entry, self._notes) for entry in entries.values()]
        if self._deeds:
            new.append(timetable.misbehaving(self._notes, self._deeds))
        CalendarTable(self._store).add(CALENDAR, _EVERY_DAY, now=now)
        self._timers.add([timetable.on_working_days(self._notes)], now=now, quota=0)
        self.timetable.deliveries[ON_WORKING_DAYS] = Delivery.AT_MOST_ONCE
        self._begin(ON_WORKING_DAYS, Grid(1), now)
        asked = Timer(name=ASKED, function="work", trigger=Every(86_400), params={"path": str(self._notes)})
        self._timers.add([*new, asked], now=now, quota=0)
        self.timetable.deliveries[ASKED] = asked.delivery
        for timer in new:
            self.timetable.deliveries[timer.name] = timer.delivery
            entry = entries.get(timer.name)
            step = timer.trigger.seconds if isinstance(timer.trigger, Every) else entries[timer.name].step
            if entry is not None and entry.by_calendar:
                self._begin(timer.name, Grid(step, also=entry.also), now)
            else:
                self._begin(timer.name, Grid(step, _anchor(now)), now)

    def start(self, seed: int) -> None:
        """Begin to change timers."""
        self._is_over.clear()
        self._thread = threading.Thread(target=self._go_on, args=[random.Random(seed)])
        self._thread.start()

    def stop(self) -> None:
        """Return when the change in progress is applied."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _go_on(self, dice: random.Random) -> None:
        pause, rare = self._control.pause_or_resume, [self._bound, self._change_calendar]
        try:
            while not self._is_over.wait(dice.expovariate(2.0)):
                dice.choice([self._ask, *[self._alter] * 3, *rare, self._control.cancel, pause])(dice)
            self._control.resume()
        except BaseException as error:
            self.error = error

    def _ask(self, dice: random.Random) -> None:
        """Request a run."""
        name = dice.choice([ASKED, "plain"])
        try:
            request_run(self._store, name, _PRODUCTION, now=SystemClock().now())
        except StoreError as error:
            self._note(f"requested a run of {name}, without an answer: {error}")
            known = self.timetable.perhaps_requested
        else:
            known = self.timetable.requested
        known[name] = known.get(name, 0) + 1

    def _alter(self, dice: random.Random) -> None:
        """Add a timer that there is not, or change or remove one that there is."""
        name = dice.choice(EDITED)
        found = self._found(name)
        step = dice.choice([1, 2, 3])
        if found is None:
            self._add(name, step)
        elif not found.timer.enabled:
            dice.choice([self._enable, self._remove])(name)
        else:
            change = dice.choice([self._disable, self._remove, self._reschedule, self._reparametrise])
            change(name)

    def _bound(self, dice: random.Random) -> None:
        """Add another timer that is finished after some runs, or at a time."""
        for name in sorted(self.timetable.most_runs.keys() - self.timetable.finished):
            self.look_for_the_end(name)
        number = len(self.timetable.most_runs) + self._windows
        most, lasts = 0, timedelta(0)
        if dice.random() < 0.5:
            name, most = f"bound-{number}", dice.randrange(1, 6)
            self.timetable.most_runs[name] = most
        else:
            name, lasts = f"window-{number}", timedelta(seconds=dice.uniform(2.0, 8.0))
            self._windows += 1
        self.timetable.deliveries[name] = Delivery.AT_MOST_ONCE

        def ends_at(now: datetime) -> datetime | None:
            return now + lasts if lasts else None

        def grid(now: datetime) -> Grid:
            return Grid(1, _anchor(now), before=micros(now + lasts) if lasts else None)

        def add(now: datetime) -> None:
            timer = timetable.limited(name, self._notes, max_runs=most, ends_at=ends_at(now))
            self._timers.add([timer], now=now, quota=0)

        self._apply(f"add {name}", add, lambda now, found: found is not None, begins=(name, grid))

    def look_for_the_end(self, name: str) -> None:
        """Note that a timer with a bound has come to it."""
        found = self._found(name)
        if found is not None and found.next_fire is None:
            self.timetable.finished.add(name)
            self._end(name, SystemClock().now())

    def _change_calendar(self, dice: random.Random) -> None:
        """Make these days days off, or working days again."""
        off, self._is_off = not self._is_off, not self._is_off
        today = SystemClock().now().date()
        days = _EVERY_DAY if not off else WorkingDays("SUN-SAT", holidays=[today + timedelta(days=n) for n in range(3)])
        table = CalendarTable(self._store)
        self._apply(
            f"make today a {'day off' if off else 'working day'} of {ON_WORKING_DAYS}",
            lambda now: table.change(CALENDAR, days, now=now),
            lambda now, found: found is not None and found.timer.working_days == days,
            begins=None if off else (ON_WORKING_DAYS, lambda now: Grid(1)),
            ends=ON_WORKING_DAYS if off else "",
        )

    def _found(self, name: str) -> StoredTimer | None:
        """A timer as it is, None where there is none; waits until the store answers."""
        found: list[StoredTimer | None] = []

        def look() -> bool:
            with suppress(StoreError):
                try:
                    found.append(self._timers.get(name))
                except UnknownTimerError:
                    found.append(None)
            return bool(found)

        eventually(look, within_s=slowed(120))
        return found[0]

    def _add(self, name: str, step: int) -> None:
        entry = Entry(name, step, 0.0, *HEALTHY[0][3:6])
        timer = timetable.timer_of(entry, self._notes)
        self.timetable.deliveries[name] = Delivery.AT_MOST_ONCE
        self._apply(
            f"add {name} each {step} s",
            lambda now: self._timers.add([timer], now=now, quota=0),
            lambda now, found: found is not None,
            begins=(name, lambda now: Grid(step, _anchor(now))),
        )

    def _enable(self, name: str) -> None:
        found = self._found(name)
        assert found is not None
        assert isinstance(found.timer.trigger, Every)
        step = found.timer.trigger.seconds
        self._apply(
            f"enable {name}",
            lambda now: self._timers.enable(name, now=now),
            lambda now, found: found is not None and found.timer.enabled,
            begins=(name, lambda now: Grid(step, _anchor(now))),
        )

    def _disable(self, name: str) -> None:
        self._apply(
            f"disable {name}",
            lambda now: self._timers.disable(name),
            lambda now, found: found is None or not found.timer.enabled,
            ends=name,
        )

    def _remove(self, name: str) -> None:
        def remove(now: datetime) -> None:
            with suppress(UnknownTimerError):
                self._timers.remove(name)

        self._apply(f"remove {name}", remove, lambda now, found: found is None, ends=name)

    def _reschedule(self, name: str) -> None:
        found = self._found(name)
        assert found is not None
        assert isinstance(found.timer.trigger, Every)
        step = found.timer.trigger.seconds % 3 + 1
        self._apply(
            f"change {name} to each {step} s",
            lambda now: self._timers.edit(name, _PRODUCTION, {"trigger": Every(step)}, now=now),
            lambda now, found: found is not None and found.timer.trigger == Every(step).anchored(now),
            begins=(name, lambda now: Grid(step, _anchor(now))),
            ends=name,
        )

    def _reparametrise(self, name: str) -> None:
        params = {"path": str(self._notes), "seconds": 0.1}
        self._apply(
            f"change the parameters of {name}",
            lambda now: self._timers.edit(name, _PRODUCTION, {"params": params}, now=now),
            lambda now, found: found is not None and found.timer.params == params,
        )

    def _apply(
        self,
        text: str,
        change: Callable[[datetime], object],
        is_applied: Callable[[datetime, StoredTimer | None], bool],
        *,
        begins: tuple[str, Callable[[datetime], Grid]] | None = None,
        ends: str = "",
    ) -> None:
        """Make a change, again and again until it is applied; keep what that means for the timer's phases."""
        name = text.rsplit(maxsplit=1)[-1] if begins is None else begins[0]
        began_at = SystemClock().now()
        while True:
            now = SystemClock().now()
            try:
                change(now)
            except StoreError as error:
                self._note(f"{text}: {error}")
                self._is_over.wait(0.3)
                if not is_applied(now, self._found(ends or name)):
                    if begins is not None:
                        self._begin(begins[0], begins[1](now), now, is_certain=False)
                    continue
            break
        self._note(text)
        if ends:
            self._end(ends, began_at)
        if begins is not None:
            self._begin(begins[0], begins[1](now), now)

    def _begin(self, name: str, grid: Grid, now: datetime, *, is_certain: bool = True) -> None:
        settled = micros(SystemClock().now())
        phase = Phase(name, grid, micros(now), settled, is_certain=is_certain)
        if not is_certain:
            phase.ending = phase.ended = settled
        self.timetable.phases.append(phase)

    def _end(self, name: str, began_at: datetime) -> None:
        ended = micros(SystemClock().now())
        for phase in self.timetable.phases:
            if phase.timer == name and phase.ended is None:
                phase.ending, phase.ended = micros(began_at), ended

    def _note(self, text: str) -> None:
        self.log.append(f"{SystemClock().now():%H:%M:%S.%f} {text}")


def _anchor(now: datetime) -> int:
    """Where fire times of an interval are counted from: the full second."""
    return micros(now) // 1_000_000 * 1_000_000
