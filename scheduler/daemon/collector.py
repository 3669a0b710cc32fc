"""Collector: passes what the watch and the executors report to the results that are not yet recorded."""

from __future__ import annotations

from collections.abc import Iterable

from ..clock import Clock
from ..executors import Report
from .dispatch import Dispatch
from .result_buffer import ResultBuffer
from .watch import Watch


class Collector:
    """Collects the reports of one daemon."""

    def __init__(self, watch: Watch, dispatch: Dispatch, results: ResultBuffer, clock: Clock) -> None:
        self._watch = watch
        self._dispatch = dispatch
        self._results = results
        self._clock = clock

    def collect(self) -> None:
        """Take all reports; those of a fleet are read from the store."""
        self._add(self._watch.take_reports())
        self._add(self._dispatch.collect())

    def collect_locally(self) -> None:
        """Take the reports that can be had without the store."""
        self._add(self._watch.take_reports())
        self._add(self._dispatch.collect_local())

    def _add(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self._results.add(report, self._clock.monotonic())
