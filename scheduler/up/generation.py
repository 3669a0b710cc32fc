"""Generation: the processes that serve one version of the sources, and the order in which they start.

    web, web 2 …, preview     load the functions, and wait
    daemon                    opens the store meanwhile; starts its workers once the functions are known
    web, web 2 …, preview     accept connections once the daemon is ready
    daemon                    fires once this version is announced, or takes the place of another

So clients and timers change to a new version together, and a version that does not start is never visible. With
`processes = "one"`, one process, the service, is both web process and daemon.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from .process import ChildProcess
from .restarts import Place

#: How long the start waits for a preview.
PREVIEW_S = 60.0


class Generation:
    """One version: the place of the daemon, those of the web processes, and that of a preview.

    The first of `webs` starts first; the others follow when its code has loaded, so that an error is reported once. The
    service is both `webs[0]` and `daemon`.
    """

    def __init__(self, webs: Sequence[Place], daemon: Place, preview: Place | None) -> None:
        self._webs = webs
        self._daemon = daemon
        self._preview = preview
        self.is_ready = False
        self._is_announced = False
        #: Why the machine cannot start a process; empty if it can.
        self.start_error = ""
        self._began_at = time.monotonic()
        self._others = [*webs[1:], *([preview] if preview else [])]
        self._has_begun_others = False
        #: The report of the functions for the daemon, once they are known.
        self._functions: dict[str, Any] | None = None
        self.places = list({id(place): place for place in (webs[0], daemon)}.values())
        self._begin(self.places)

    def _begin(self, places: Sequence[Place]) -> None:
        try:
            for place in places:
                place.begin()
        except OSError as error:
            self.start_error = str(error)

    @property
    def processes(self) -> list[ChildProcess]:
        """The running processes."""
        return [process for place in self.places for process in place.processes]

    @property
    def is_changing(self) -> bool:
        """Whether a place is empty, or a process is about to fill one."""
        return any(place.current is None or place.coming is not None for place in self.places)

    @property
    def functions(self) -> dict[str, Any]:
        """The reports of the functions and of the preview's, which are None if the preview does not start."""
        preview = self._preview.report("loaded") if self._preview else {}
        of_preview = {f"preview_{name}": preview.get(name) for name in ("functions", "catalogue", "declared", "target")}
        return {**self._webs[0].report("loaded"), **of_preview}

    @property
    def timers(self) -> dict[str, Any]:
        """The report of the daemon."""
        return self._daemon.report("ready")

    @property
    def waits_for(self) -> str:
        """The processes that a start waits for."""
        webs = [*self._webs, *filter(None, [self._preview])]
        loading = [place for place in webs if place.coming is not None and not place.coming.loaded]
        return ", ".join(place.policy.name for place in loading or [self._daemon])

    @property
    def failed(self) -> ChildProcess | None:
        """A process without which this version cannot serve, and that does not start."""
        if self.is_ready:
            return None
        processes = [process for place in self._needed for process in place.processes]
        return next((process for process in processes if process.exit_status() is not None), None)

    def is_late(self, now: float) -> bool:
        """Whether a process without which it cannot serve takes too long to be ready."""
        if self.is_ready:
            return False
        coming = [(place, place.coming) for place in self._needed if place.coming is not None]
        # A process that waits for the others is not late.
        working = [(place, one) for place, one in coming if one.may_start or not (one.loaded or place is self._daemon)]
        return any(now - one.began_at > place.policy.load_s for place, one in working)

    @property
    def _needed(self) -> list[Place]:
        return [place for place in self.places if place is not self._preview]

    def tick(self, now: float, retire: Callable[[ChildProcess], None]) -> None:
        """Start the processes whose turn it is; once all are ready, replace those that end."""
        for place in self.places:
            is_coming = place.coming is not None and place.coming.ready is not None
            if self.is_ready or place is self._preview or is_coming:
                place.tick(now, retire)
        if not self._has_begun_others and self._webs[0].report("loaded"):
            self._has_begun_others = True
            self.places += self._others
            self._begin(self._others)
        self._order_to_go_on(now)
        if not self.is_ready:
            self.is_ready = self._has_begun_others and all(place.current is not None for place in self._needed)

        if self._is_announced:
            self.let_fire()

    def let_fire(self) -> None:
        """Let this version fire timers from now on, after its announcement has been printed."""
        self._is_announced = True
        process = self._daemon.current
        if process is not None and not process.may_fire:
            process.may_fire = True
            process.send(fire=True)

    def _order_to_go_on(self, now: float) -> None:
        """Order the processes that wait for others to go on, and those that replace them later."""
        if self._functions is None and self._has_begun_others and self._all_have_loaded(now):
            self._functions = self.functions
        if self._functions is not None:
            _let_start(self._daemon, self._functions)
        if self.is_ready or self._daemon.report("ready"):
            for place in [*self._webs, *filter(None, [self._preview])]:
                if place.report("loaded"):
                    _let_start(place, {})

    def _all_have_loaded(self, now: float) -> bool:
        """Whether all live functions have loaded, and the preview too, unless its time is over."""
        preview = self._preview
        has_preview = preview is None or preview.has_loaded or now - self._began_at > PREVIEW_S
        return has_preview and all(place.has_loaded for place in self._webs)


def _let_start(place: Place, message: dict[str, Any]) -> None:
    process = place.coming
    if process is not None and not process.may_start:
        process.may_start, process.began_at = True, time.monotonic()
        process.send(start=message)
