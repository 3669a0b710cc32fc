"""Dispatch: the executors of a daemon, one for each environment; an executor may serve several."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from operator import attrgetter

from ..core.breaker import Verdict
from ..core.run import Ending, Outcome, Task
from ..core.timer import Environment
from ..executors import Cancelling, Executor, FleetExecutor, Handing, Preparing, Queue, Report, Withdrawing
from .run_pings import RunPings
from .store_calls import StoreCalls

#: While this many tasks wait for a worker, the daemon claims no more.
MAX_WAITING = 10_000

_environment = attrgetter("environment")


class Dispatch:
    """Hands tasks to the executors, and collects from all of them."""

    def __init__(self, executors: Mapping[Environment, Executor], calls: StoreCalls) -> None:
        self._by_environment = executors
        self._calls = calls
        self._executors = list(dict.fromkeys(executors.values()))
        #: The fleets: their runs continue without this daemon, and their workers write the endings into the store.
        self._fleets = {
            environment: executor for environment, executor in executors.items() if isinstance(executor, FleetExecutor)
        }
        self._local = [executor for executor in self._executors if not isinstance(executor, FleetExecutor)]
        self._is_stopped = False
        self.run_pings = RunPings({}, None)
        #: Tasks that were withdrawn, or not handed out, until give_back.py releases them.
        self.unbegun: list[Task] = []
        #: How many tasks were handed out and have not ended, except those of a fleet.
        self.running = 0

    @property
    def fleets(self) -> frozenset[Environment]:
        """The environments whose functions run in a fleet."""
        return frozenset(self._fleets)

    def collect(self) -> Iterator[Report]:
        """The report of each executor since the last call."""
        yield from self.collect_local()
        for executor in dict.fromkeys(self._fleets.values()):
            # A fleet's executor reads from the store.
            with self._calls:
                report = executor.collect()
            yield report

    def collect_local(self) -> Iterator[Report]:
        """The same without fleets: enforces the limits, and never waits for the store."""
        for executor in self._local if not self._is_stopped else ():
            report = executor.collect()
            self.running -= len(report)
            yield report

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Let executors prepare for tasks that will be handed out in a moment."""
        for environment, executor in self._by_environment.items():
            theirs = [task for task in tasks if task.environment == environment]
            if theirs and isinstance(executor, Preparing):
                executor.prepare(theirs)

    def hand_out(self, tasks: Sequence[Task], now: datetime) -> Report:
        """Submit tasks; returns the endings of those whose environment has no executor."""
        report = Report()
        self.run_pings.begun(tasks)
        for environment, theirs in _by_environment(tasks):
            executor = self._by_environment.get(environment)
            if executor is None:
                ending = _not_deployed(environment, now)
                report.ended += [(task, ending) for task in theirs]
                continue
            self.running += 0 if environment in self._fleets else len(theirs)
            executor.submit(theirs)
        return report

    def cancel(self, run_ids: Collection[int]) -> None:
        """Have executors end those of these runs that they have."""
        for executor in self._executors if not self._is_stopped else ():
            if isinstance(executor, Cancelling):
                # That of a fleet writes to the store.
                with self._calls if executor not in self._local else nullcontext():
                    executor.cancel(run_ids)

    def withdraw(self) -> None:
        """Stop local executors from beginning tasks; adds those not begun to `unbegun`. Call it until none are left."""
        for executor in self._local if not self._is_stopped else ():
            if isinstance(executor, Withdrawing):
                withdrawn = executor.withdraw()
                self.running -= len(withdrawn)
                self.unbegun += withdrawn

    @property
    def begun(self) -> int:
        """How many tasks have begun, except in fleets; executors that cannot tell also count those that wait."""
        if not all(isinstance(executor, Withdrawing) for executor in self._local):
            return self.running
        return sum(executor.begun for executor in self._local if isinstance(executor, Withdrawing))

    def adopt(self, tasks: Sequence[Task]) -> None:
        """Take over runs in fleets whose daemon has ended."""
        for environment, theirs in _by_environment(tasks):
            self._fleets[environment].adopt(theirs)

    @property
    def waiting(self) -> int:
        """How many tasks wait for a worker."""
        return sum(executor.waiting for executor in self._executors if isinstance(executor, Queue))

    @property
    def oldest_unbegun_s(self) -> float:
        """For how long the oldest task that was handed out has not begun."""
        return max((each.oldest_unbegun_s for each in self._executors if isinstance(each, Handing)), default=0.0)

    def full(self) -> list[Environment]:
        """The environments in which MAX_WAITING tasks wait: their due timers stay in the store until fewer wait."""
        return [environment for environment, executor in self._by_environment.items() if _is_full(executor)]

    def is_full(self) -> bool:
        """Whether every executor is full."""
        return bool(self._executors) and all(map(_is_full, self._executors))

    def next_checks_s(self) -> Iterator[float]:
        """In how many seconds to collect from each executor, even if no descriptor becomes readable."""
        for executor in () if self._is_stopped else self._executors:
            if (check_s := executor.next_check()) is not None:
                yield check_s

    def filenos(self) -> list[int]:
        """The descriptors that become readable when there is something to collect."""
        executors = () if self._is_stopped else self._executors
        return [fileno for executor in executors for fileno in executor.filenos()]

    def stop(self) -> None:
        """End every run at once, except those of a fleet, and release everything."""
        self.stop_local()
        with self._calls:
            self.stop_fleets()

    def stop_local(self) -> None:
        """End every run at once, except those of a fleet; never waits for the store."""
        if not self._is_stopped:
            self._is_stopped = True
            for executor in self._local:
                executor.stop()

    def stop_fleets(self) -> None:
        """Release what the executors of fleets hold; their runs continue."""
        for executor in dict.fromkeys(self._fleets.values()):
            executor.stop()


def _by_environment(tasks: Sequence[Task]) -> list[tuple[Environment, Sequence[Task]]]:
    """The tasks of each environment, in their order; nearly always all are of one."""
    environments = sorted(set(map(_environment, tasks)))
    if len(environments) == 1:
        return [(Environment(environments[0]), tasks)]
    return [(Environment(name), [task for task in tasks if task.environment == name]) for name in environments]


def _not_deployed(environment: str, now: datetime) -> Ending:
    flag = 1 if environment == Environment.PRODUCTION else 0
    error = f"The cloud code isn't deployed for prod {flag}."
    return Ending(outcome=Outcome.FAILED, verdict=Verdict.FAILURE, ended_at=now, error=error)


def _is_full(executor: Executor) -> bool:
    return isinstance(executor, Queue) and executor.waiting >= MAX_WAITING
