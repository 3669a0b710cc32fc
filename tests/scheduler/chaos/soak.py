"""Memory, descriptors and threads of each process, and the processes of each member, and how they grow over a run."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.scheduler.chaos.field import Member
from tests.scheduler.up_process import children

SAMPLE_S = 10.0
#: A process that has run for less says nothing: it is still filling its caches.
WARM_UP_S, SHORTEST_S = 60.0, 240.0
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


class Quantity(NamedTuple):
    """What is sampled of a process, and by how much it may grow in an hour; runs last minutes, so this is generous."""

    read: Callable[[Path], float]
    most_an_hour: float


def _memory_mb(process: Path) -> float:
    return int((process / "statm").read_text().split()[1]) * _PAGE_MB


#: How many descriptors a daemon holds for each of its workers, whose number goes up and down.
_OF_A_WORKER = 8


def _descriptors(process: Path) -> float:
    """Those that are not for its children."""
    held = len(os.listdir(process / "fd"))  # noqa: PTH208  the names alone
    return held - _OF_A_WORKER * len(children(int(process.name)))


def _threads(process: Path) -> float:
    return len(os.listdir(process / "task"))  # noqa: PTH208


QUANTITIES = {
    "memory in MB": Quantity(_memory_mb, 250.0),
    "descriptors": Quantity(_descriptors, 120.0),
    "threads": Quantity(_threads, 60.0),
}
#: A pool of workers that grows by ten in the last minutes of a run grows by no more.
PROCESSES, MOST_PROCESSES_AN_HOUR = "processes", 150.0


class Growth(NamedTuple):
    """How a quantity grew in an hour, by the least squares of its samples."""

    whose: str
    what: str
    first: float
    last: float
    an_hour: float
    most_an_hour: float

    def __str__(self) -> str:
        return f"{self.whose}: {self.what} {self.first:.1f} → {self.last:.1f}, {self.an_hour:+.1f}/h"


class Soak:
    """Samples the processes of members every few seconds, in a thread of its own, until it is stopped."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._samples: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            for member in self._members:
                self._sample(member)

    def _sample(self, member: Member) -> None:
        now, pid, below = time.monotonic(), member.pid, member.descendants()
        self._samples[f"{member.name} ({pid})", PROCESSES].append((now, len(below)))
        for process in (pid, *below):
            try:
                for what, quantity in QUANTITIES.items():
                    value = quantity.read(Path(f"/proc/{process}"))
                    self._samples[f"{member.name} ({process})", what].append((now, value))
            except OSError:
                continue  # it has ended

    def stop(self) -> list[Growth]:
        """How everything grew that was there for long enough; the most first."""
        self._is_over.set()
        self._thread.join()
        found = []
        for (whose, what), samples in self._samples.items():
            warm = [sample for sample in samples if sample[0] >= samples[0][0] + WARM_UP_S]
            if warm and warm[-1][0] - warm[0][0] >= SHORTEST_S:
                most = QUANTITIES[what].most_an_hour if what in QUANTITIES else MOST_PROCESSES_AN_HOUR
                found.append(Growth(whose, what, warm[0][1], warm[-1][1], slope(warm) * 3600, most))
        return sorted(found, key=lambda growth: growth.an_hour / growth.most_an_hour, reverse=True)


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """The slope of the line through (x, y) by least squares."""
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0
