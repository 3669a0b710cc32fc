"""Metrics for Prometheus: counted in plain numbers, and converted to metric families at a scrape.

Lives here: the counters and the families. Never here: HTTP. A run costs a few additions, without label look-ups or
locks; the metrics of the store are read from it at each scrape.

The values of a label are bounded: outcomes, environments, endpoints, and at most `names` timers and functions. Further
timers and functions are counted under an empty name.
"""

from __future__ import annotations

import contextlib
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from .core.breaker import BreakerState
from .core.run import Ending, Line, Task
from .errors import StoreError
from .store.alert_queue import AlertQueue, RuleState
from .store.database import Store
from .store.statistics import Statistics, read_statistics

#: Upper bounds of the buckets in seconds: for lateness and runs up to an hour, for calls beyond their limit.
LATENESS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
DURATION_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
CALL_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
#: The number of timers, and of functions, that have a label of their own.
NAMES = 100


class ObservedDaemon(Protocol):
    """The numbers that the metrics read from a daemon."""

    @property
    def running(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def oldest_unbegun_s(self) -> float: ...
    @property
    def holds_lease(self) -> bool: ...
    @property
    def store_answers(self) -> bool: ...
    @property
    def turn_s(self) -> float: ...
    @property
    def faults(self) -> Mapping[str, int]: ...
    @property
    def passed_over(self) -> Mapping[tuple[str, str], int]: ...


class Histogram:
    """The number of values in each bucket, and their sum; one thread adds, any thread reads."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def into(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add the counts so far to a family, as cumulative buckets."""
        counts, total = list(self._counts), 0
        buckets = []
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(bound), total))
        family.add_metric(labels, buckets, self._sum)


class Metrics(Collector):
    """A listener of the daemon and of the engine, and a collector of a Prometheus registry of its own.

    Give it to a `Scheduler` as `metrics`, and serve `metrics.registry`, for instance by
    `prometheus_client.start_http_server(9100, "127.0.0.1", metrics.registry)`. At most `names` timers and functions
    have their name as a label.

    >>> from scheduler import Scheduler
    >>> from scheduler.functions import Registry
    >>> metrics = Metrics()
    >>> with Scheduler("sqlite://", Registry(), metrics=metrics) as scheduler:
    ...     metrics.registry.get_sample_value("scheduler_runs_in_progress")
    0
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, names: int = NAMES) -> None:
        self.registry = registry or CollectorRegistry()
        self._names = names
        #: Runs by outcome: of the first `names` timers by (environment, name), of all others by environment.
        self._timers: dict[tuple[str, str], dict[str, int]] = {}
        self._others: dict[str, dict[str, int]] = {}
        #: Lateness and duration, by environment.
        self._seconds: dict[str, tuple[Histogram, Histogram]] = {}
        self._lines = 0
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._functions: set[str] = set()
        self._call_s: dict[str, Histogram] = {}
        self._replaced: Counter[str] = Counter()
        #: Calls end in many threads; runs are reported in one.
        self._calls_lock = threading.Lock()
        self._daemon: ObservedDaemon | None = None
        self._store: Store | None = None
        self.registry.register(self)

    def watch(self, daemon: ObservedDaemon, store: Store) -> None:
        """Read this daemon and its store at each scrape."""
        self._daemon, self._store = daemon, store

    # Events

    def __call__(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        """Count runs and lines that the daemon has recorded; called in its thread."""
        self._lines += len(lines)
        timers, others, seconds = self._timers, self._others, self._seconds
        for task, ending in ended:
            environment, outcome = task.environment, ending.outcome
            outcomes = timers.get((environment, task.timer)) or others.get(environment)
            if outcomes is None:
                outcomes = self._outcomes_of_timer(environment, task.timer)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if (started_at := ending.started_at) is not None:
                lateness, duration = seconds[environment]
                lateness.add((started_at - task.fire_time).total_seconds())
                duration.add((ending.ended_at - started_at).total_seconds())

    def _outcomes_of_timer(self, environment: str, timer: str) -> dict[str, int]:
        """The counts of a timer's outcomes: its own, or those that all timers after the first `names` share."""
        outcomes: dict[str, int] = {}
        if environment not in self._seconds:
            self._seconds[environment] = Histogram(LATENESS_S), Histogram(DURATION_S)
        if len(self._timers) < self._names:
            return self._timers.setdefault((environment, timer), outcomes)
        return self._others.setdefault(environment, outcomes)

    def answered(self, endpoint: str, function: str, status: int, seconds: float) -> None:
        """Count a call that the engine has answered; may be called from any thread."""
        with self._calls_lock:
            self._calls[endpoint, self._function(function, status), str(status)] += 1
            if endpoint not in self._call_s:
                self._call_s[endpoint] = Histogram(CALL_S)
            self._call_s[endpoint].add(seconds)

    def replaced(self, process: str) -> None:
        """Count a process of `scheduler up` that was replaced because it ended, hung or used too much memory."""
        self._replaced[process] += 1

    def _function(self, name: str, status: int) -> str:
        # Random names must not become labels: a function exists if the answer is neither 401 nor 404.
        if name in self._functions:
            return name
        if status in (401, 404) or len(self._functions) >= self._names:
            return ""
        self._functions.add(name)
        return name

    # Scrapes

    def collect(self) -> Iterator[Metric]:
        """Every family, with the current values."""
        yield from self._metrics_of_runs()
        yield from self._metrics_of_engine()
        if self._daemon is not None:
            yield from _metrics_of_daemon(self._daemon)
        if self._store is not None:
            # A scrape does not wait for a store that already keeps the daemon waiting.
            yield from _metrics_of_store(self._store, ask=self._daemon is None or self._daemon.store_answers)

    def _metrics_of_runs(self) -> Iterator[Metric]:
        by_timer = CounterMetricFamily(
            "scheduler_timer_runs",
            f"Runs that ended, by timer; an empty name stands for all but the first {self._names} timers.",
            labels=["environment", "timer", "outcome"],
        )
        total: Counter[tuple[str, str]] = Counter()
        if self._daemon is not None:
            total.update(dict(self._daemon.passed_over))
        others = [((environment, ""), outcomes) for environment, outcomes in list(self._others.items())]
        for (environment, timer), outcomes in list(self._timers.items()) + others:
            for outcome, count in list(outcomes.items()):
                by_timer.add_metric([environment, timer, outcome], count)
                total[environment, outcome] += count
        runs = CounterMetricFamily(
            "scheduler_runs",
            "Fire times by outcome, including those without a run.",
            labels=["environment", "outcome"],
        )
        for key, count in total.items():
            runs.add_metric(key, count)
        yield runs
        yield by_timer
        seconds = list(self._seconds.items())
        lateness, duration = ({environment: both[n] for environment, both in seconds} for n in (0, 1))
        yield _histogram("scheduler_run_lateness_seconds", "From fire time to start.", "environment", lateness)
        yield _histogram("scheduler_run_duration_seconds", "From start to end.", "environment", duration)
        yield CounterMetricFamily("scheduler_run_lines", "Lines that runs printed.", value=self._lines)

    def _metrics_of_engine(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "scheduler_engine_calls",
            "Calls over HTTP that were answered.",
            labels=["endpoint", "function", "status"],
        )
        with self._calls_lock:
            for key, count in self._calls.items():
                family.add_metric(key, count)
            yield family
            yield _histogram("scheduler_engine_call_seconds", "From request to answer.", "endpoint", self._call_s)
        replaced = CounterMetricFamily(
            "scheduler_processes_replaced",
            "Processes that were replaced because they ended, hung or used too much memory.",
            labels=["process"],
        )
        for process, count in list(self._replaced.items()):
            replaced.add_metric([process], count)
        yield replaced


def _histogram(name: str, text: str, label: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, histogram in list(histograms.items()):
        histogram.into(family, [value])
    return family


def _metrics_of_daemon(daemon: ObservedDaemon) -> Iterator[Metric]:
    waiting = daemon.waiting
    yield GaugeMetricFamily(
        "scheduler_runs_in_progress", "Claimed and not ended, including those that wait.", daemon.running
    )
    yield GaugeMetricFamily("scheduler_runs_queued", "Claimed, and waiting for a worker.", waiting)
    yield GaugeMetricFamily(
        "scheduler_oldest_unbegun_seconds",
        "How long the oldest run that was handed out has been waiting to begin.",
        daemon.oldest_unbegun_s,
    )
    yield GaugeMetricFamily("scheduler_daemon_lease", "1 while this daemon holds its lease.", int(daemon.holds_lease))
    yield GaugeMetricFamily(
        "scheduler_daemon_turn_seconds", "How long the current turn has taken; 0 while it sleeps.", daemon.turn_s
    )
    family = CounterMetricFamily("scheduler_faults", "Turns that a fault aborted, by kind.", labels=["kind"])
    for kind, count in dict(daemon.faults).items():
        family.add_metric([kind], count)
    yield family


def _metrics_of_store(store: Store, *, ask: bool) -> Iterator[Metric]:
    now = datetime.now(UTC)
    statistics: Statistics | None = None
    states: Sequence[RuleState] = ()
    with contextlib.suppress(StoreError):
        if ask:
            statistics, states = read_statistics(store, now), AlertQueue(store).states()
    yield GaugeMetricFamily("scheduler_store_up", "1 if the store answers.", int(statistics is not None))
    if statistics is not None:
        yield from _metrics_of_statistics(statistics, now)
        yield from _metrics_of_alerts(states)


def _metrics_of_statistics(statistics: Statistics, now: datetime) -> Iterator[Metric]:
    timers = GaugeMetricFamily("scheduler_timers", "Timers in the store.", labels=["environment", "enabled"])
    for (environment, enabled), count in statistics.timers.items():
        timers.add_metric([environment, str(enabled).lower()], count)
    yield timers
    breakers = GaugeMetricFamily("scheduler_breakers", "Breakers by state.", labels=["state"])
    for state in BreakerState:
        breakers.add_metric([state.value], statistics.breakers.get(state, 0))
    yield breakers
    troubled = GaugeMetricFamily(
        "scheduler_timer_breaker_open", "1 for a breaker that is not closed.", labels=["environment", "timer", "state"]
    )
    for timer in statistics.troubled:
        troubled.add_metric([timer.environment, timer.name, timer.state.value], 1)
    yield troubled
    yield GaugeMetricFamily("scheduler_timers_overdue", "Enabled timers that no daemon claims.", statistics.overdue)
    yield GaugeMetricFamily(
        "scheduler_timers_finished", "Enabled timers that will not fire again.", statistics.finished
    )
    yield GaugeMetricFamily("scheduler_timers_paused", "Enabled timers that a pause holds.", statistics.held)
    yield GaugeMetricFamily(
        "scheduler_daemons", "Live daemons, by their locks or leases.", len(statistics.live_daemons(now))
    )
    if statistics.due_since is not None:
        yield GaugeMetricFamily(
            "scheduler_next_fire_timestamp_seconds", "The next fire time.", statistics.due_since.timestamp()
        )


def _metrics_of_alerts(states: Sequence[RuleState]) -> Iterator[Metric]:
    alerts = GaugeMetricFamily("scheduler_alerts", "Alerts in the store.", labels=["alert", "state"])
    for state in states:
        for name, count in (("waiting", state.waiting), ("delivered", state.delivered), ("given_up", state.given_up)):
            alerts.add_metric([state.rule, name], count)
    yield alerts
