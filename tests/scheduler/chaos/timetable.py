"""The timers of a run, what their functions do, and when each timer was due: known without the service's own code.

Every function writes a line when it begins and one when it ends, into a file that no fault touches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from dateutil import rrule

from scheduler.core.any_of import AnyOf
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Delivery, Timer
from scheduler.core.triggers import Cron, Every, Trigger

CLOUD = r"""
import os, re, signal, subprocess, sys, threading, time
from scheduler.engine import Engine

engine = Engine()


def write(path, word):
    timer = engine.current.timer
    due = round(timer.scheduled_at.timestamp() * 1e6)
    line = f"{word} {timer.name} {due} {timer.attempt} {time.time_ns() // 1000} {os.getpid()}\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


@engine.define
def work(path, seconds=0.0):
    write(path, "begin")
    time.sleep(seconds)
    write(path, "end")


def hold_gil():
    re.match(r"(a+)+$", "a" * 60 + "b")


def shout():
    for number in range(20_000):
        print("a line of which there are very many", number)


def leave_threads():
    def talk():
        for number in range(200):
            print("still here", number)
            time.sleep(0.01)

    for _ in range(3):
        threading.Thread(target=talk, daemon=True).start()


def leave_gil_holder():
    threading.Timer(0.2, hold_gil).start()


def write_everywhere():
    for descriptor in range(3, 40):
        for garbage in (b"(hello", b"(\xff\xff\xff\x07"):
            try:
                os.set_blocking(descriptor, False)
                os.write(descriptor, garbage)
            except OSError:
                pass


DEEDS = {
    "hang": lambda: time.sleep(600),
    "hold_gil": hold_gil,
    "exit": lambda: os._exit(7),
    "kill_itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop_itself": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "shout": shout,
    "leave_threads": leave_threads,
    "leave_gil_holder": leave_gil_holder,
    "leave_child": lambda: subprocess.Popen(["sleep", "3"], start_new_session=True),
    "write_everywhere": write_everywhere,
}


@engine.define
def misbehave(path, deeds):
    write(path, "begin")
    due_s = int(engine.current.timer.scheduled_at.timestamp())
    DEEDS[deeds[due_s // 3 % len(deeds)]]()
    write(path, "end")


@engine.define
def hello():
    return "hello"


@engine.define
def over_http(deed):
    DEEDS[deed]()
"""
#: What the misbehaving timer's function does, one deed after another.
DEEDS = (
    "hang",
    "hold_gil",
    "exit",
    "kill_itself",
    "stop_itself",
    "shout",
    "leave_threads",
    "leave_gil_holder",
    "leave_child",
    "write_everywhere",
)
#: Their time limit, and that of every other timer.
LIMIT_S, WORK_LIMIT_S = 1.5, 4.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Fire times: each `step` seconds, counted in microseconds from `anchor` on, or by the calendar.

    Those of the calendar are the seconds that `step` divides, or `also`; there is none from `before` on.
    """

    step: int
    anchor: int | None = None
    also: int = 0
    before: int | None = None

    def between(self, after: int, until: int) -> list[int]:
        """The fire times in (after, until], in microseconds since 1970."""
        if self.before is not None:
            until = min(until, self.before - 1)
        if after >= until:
            return []
        if self.anchor is None:
            return list(self._of_calendar(after, until))
        step = self.step * 1_000_000
        first = max(1, (after - self.anchor) // step + 1)
        return [self.anchor + step * rank for rank in range(first, (until - self.anchor) // step + 1)]

    def _of_calendar(self, after: int, until: int) -> Iterator[int]:
        """Seconds of each minute that `step` divides, or `also`, by dateutil."""
        begin = datetime.fromtimestamp(after // 1_000_000, UTC)
        wanted = {*range(0, 60, self.step), *(range(0, 60, self.also) if self.also else ())}
        seconds = rrule.rrule(rrule.SECONDLY, dtstart=begin, bysecond=sorted(wanted))
        for fire_time in seconds:
            at = round(fire_time.timestamp()) * 1_000_000
            if at > until:
                return
            if at > after:
                yield at


@dataclass(slots=True)
class Phase:
    """A span of time in which a timer was enabled with one schedule; all instants in microseconds since 1970.

    The change that began it was made as of `since` and known to be applied at `settled`; the change that ended it was
    tried from `ending` on and known to be applied at `ended`, both None to the end. `is_certain` is unset where it is
    not known whether the change that began it was applied.
    """

    timer: str
    grid: Grid
    since: int
    settled: int
    ending: int | None = None
    ended: int | None = None
    is_certain: bool = True


class Entry(NamedTuple):
    """A timer of the table: `step` in seconds, by the calendar or counted from when it was added."""

    name: str
    step: int
    seconds: float
    overlap: OverlapPolicy
    misfire: MisfirePolicy
    delivery: Delivery
    by_calendar: bool = False
    #: It also fires in the seconds that this divides.
    also: int = 0


_SKIP, _ALLOW, _QUEUE = OverlapPolicy.SKIP, OverlapPolicy.ALLOW, OverlapPolicy.QUEUE_ONE
_ONCE, _ALL, _NONE = MisfirePolicy.FIRE_ONCE, MisfirePolicy.FIRE_ALL, MisfirePolicy.SKIP
_MOST, _LEAST = Delivery.AT_MOST_ONCE, Delivery.AT_LEAST_ONCE

#: Timers whose functions end in time: each of them is on time again soon after the last fault.
HEALTHY = (
    Entry("plain", 1, 0.0, _ALLOW, _ONCE, _MOST),
    Entry("eager", 1, 0.05, _ALLOW, _ALL, _LEAST),
    Entry("second", 2, 0.3, _SKIP, _NONE, _MOST),
    Entry("third", 3, 1.2, _QUEUE, _ALL, _LEAST),
    Entry("clock", 1, 0.02, _SKIP, _ONCE, _MOST, by_calendar=True),
    Entry("even", 2, 0.0, _QUEUE, _NONE, _LEAST, by_calendar=True),
    Entry("either", 2, 0.0, _SKIP, _ONCE, _MOST, by_calendar=True, also=3),
)
#: Timers whose runs take longer than the time between two fires.
BUSY = (
    Entry("crowded", 1, 1.4, _QUEUE, _ONCE, _MOST),
    Entry("blocked", 1, 2.2, _SKIP, _NONE, _LEAST),
)

#: The timers that are paused now and then, and the tag that they have.
PAUSED, PAUSED_TAG = frozenset({"eager", "even", "crowded"}), "paused"


#: The calendar whose days off are changed, and the timer that fires by it.
CALENDAR, ON_WORKING_DAYS = "changing", "working"


class Paused(NamedTuple):
    """A span of time in which the timers of PAUSED were paused, in microseconds since 1970.

    The pause was known to be in force at `settled`; the change that ended it was tried from `ending` on.
    """

    settled: int
    ending: int


@dataclass(slots=True)
class Timetable:
    """When each timer was due, as those who changed the timers know it; and how often runs were requested."""

    phases: list[Phase] = field(default_factory=list)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    #: Requested runs of each timer: known to be entered, and possibly entered.
    requested: dict[str, int] = field(default_factory=dict)
    perhaps_requested: dict[str, int] = field(default_factory=dict)
    #: The runs that were cancelled, and whether that was their end at once; and those of which it is not known.
    cancelled: dict[int, bool] = field(default_factory=dict)
    perhaps_cancelled: set[int] = field(default_factory=set)
    paused: list[Paused] = field(default_factory=list)
    #: The most scheduled runs of each timer that has a bound, and those that have come to it.
    most_runs: dict[str, int] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)


def timer_of(entry: Entry, notes: Path) -> Timer:
    """The timer of an entry, enabled."""
    return _timer(
        entry.name,
        function="work",
        trigger=_trigger_of(entry),
        params={"path": str(notes), "seconds": entry.seconds},
        overlap=entry.overlap,
        misfire=entry.misfire,
        delivery=entry.delivery,
        limit_s=WORK_LIMIT_S,
        tags=(PAUSED_TAG,) if entry.name in PAUSED else (),
    )


def _trigger_of(entry: Entry) -> Trigger:
    if not entry.by_calendar:
        return Every(entry.step)
    crons = [Cron(f"0/{step} * * * * ?", "UTC") for step in (entry.step, entry.also) if step]
    return AnyOf(*crons) if len(crons) > 1 else crons[0]


def limited(name: str, notes: Path, **bounds: Any) -> Timer:
    """A timer of each second that is finished at a time, or after some runs."""
    params = {"path": str(notes), "seconds": 0.05}
    return _timer(name, function="work", trigger=Every(1), params=params, overlap=_ALLOW, **bounds)


def on_working_days(notes: Path) -> Timer:
    """The timer of CALENDAR."""
    trigger, params = Cron("* * * * * ?", "UTC"), {"path": str(notes)}
    return _timer(ON_WORKING_DAYS, function="work", trigger=trigger, params=params, calendar=CALENDAR, overlap=_ALLOW)


def misbehaving(notes: Path, deeds: list[str]) -> Timer:
    """A timer that harms whatever runs its function, in another way each time."""
    return _timer(
        "villain",
        function="misbehave",
        trigger=Every(3),
        params={"path": str(notes), "deeds": deeds},
        overlap=OverlapPolicy.ALLOW,
        limit_s=LIMIT_S,
    )


def _timer(name: str, **options: Any) -> Timer:
    return Timer(name=name, enabled=True, breaker_threshold=0, **options)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
