"""Launch: starts the processes of a generation, each with its watch policy."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.timer import Environment
from ..functions.source_snapshot import SourceSnapshot, take_snapshot
from ..project.handed_on import handed_on
from ..project.preview_sources import PreviewSource
from ..project.settings import Settings, rules_origin
from .generation import Generation
from .options import UpOptions
from .process import ChildProcess
from .restarts import Place, WatchPolicy
from .sockets import Sockets, local_url

#: How long a process may leave pings unanswered. The daemon runs no code of the user, so it only hangs if the machine
#: does, or if it was stopped; replacing it ends its runs.
WEB_SILENCE_S, DAEMON_SILENCE_S = 5.0, 30.0
#: The same for a process that is to end.
_ENDING_SILENCE_S = {"daemon": 10.0, "service": 10.0}
_MB = 1_000_000

log = logging.getLogger("scheduler.up")


class Launch:
    """Starts the processes of a generation, on the supervisor's sockets."""

    def __init__(self, options: UpOptions, sockets: Sockets, settings: Settings) -> None:
        self._options = options
        self._sockets = sockets
        self._settings = settings
        self._preview_source = options.preview_source(options.project())
        self._is_first_generation = True
        self._has_warned = False

    def generation(self) -> Generation:
        """Start a generation."""
        sources = take_snapshot(self._folders())
        if sources is None and not self._has_warned:
            self._has_warned = True
            log.warning("the folder holds too many files: a process that is started later loads what is saved then")
        preview = self._preview(self._preview_source, sources) if self._preview_source else None
        is_new, self._is_first_generation = self._is_first_generation, False
        if self._settings.processes == "one":
            service = self._service(is_new, sources)
            return Generation([service], service, preview)
        webs = [self._web(number, is_new, sources) for number in range(1, self._settings.web_processes + 1)]
        return Generation(webs, self._daemon(is_new, sources), preview)

    def console(self) -> ChildProcess:
        """Start the console's process."""
        because = rules_origin(self._settings)
        options = replace(self._options, has_store=True, rules_because=because, engines=self._engines())
        return ChildProcess("console", options.as_values(), listener=self._sockets.console)

    def _engines(self) -> dict[str, str]:
        """Where the functions of each environment are reached."""
        live, stage = self._sockets.live, self._sockets.stage or self._sockets.live
        return {
            environment: local_url(self._settings.host, listener.getsockname()[1])
            for environment, listener in ((Environment.PRODUCTION.value, live), (Environment.STAGE.value, stage))
        }

    def _folders(self) -> list[Path]:
        """The folders of the user's modules."""
        target = self._options.target or self._settings.target or ""
        folders = [self._settings.folder]
        if target.endswith(".py"):
            folders.append((self._settings.folder / target).parent)
        return folders + ([self._preview_source.folder] if self._preview_source else [])

    def silence_s(self, role: str) -> float:
        """How long a process that is to end may leave pings unanswered."""
        return _ENDING_SILENCE_S.get(role, WEB_SILENCE_S)

    @property
    def _load_s(self) -> float:
        """How long the functions may take to load."""
        return float(self._settings.executor_setting("load_timeout_s"))

    def _web(self, number: int, is_new: bool, sources: SourceSnapshot | None) -> Place:
        name = "the web process" if self._settings.web_processes == 1 else f"the web process {number}"

        def start(is_first: bool) -> ChildProcess:
            return self._process(
                "web",
                creates_store=is_new and is_first,
                sources=sources,
                listener=self._sockets.live,
                declares=is_first and number == 1,
                counts_calls=self._sockets.metrics is not None,
            )

        grown = self._settings.web_memory_mb * _MB
        return Place(WatchPolicy(name, WEB_SILENCE_S, self._load_s, grown_bytes=grown), start)

    def _daemon(self, is_new: bool, sources: SourceSnapshot | None) -> Place:
        def start(is_first: bool) -> ChildProcess:
            return self._process(
                "daemon",
                creates_store=is_new and is_first,
                sources=sources,
                metrics_listener=self._sockets.metrics,
            )

        return Place(WatchPolicy("the daemon", DAEMON_SILENCE_S, self._daemon_load_s, overlaps=False), start)

    def _service(self, is_new: bool, sources: SourceSnapshot | None) -> Place:
        def start(is_first: bool) -> ChildProcess:
            return self._process(
                "service",
                creates_store=is_new and is_first,
                sources=sources,
                listener=self._sockets.live,
                metrics_listener=self._sockets.metrics,
                declares=is_first,
            )

        policy = WatchPolicy("the service", DAEMON_SILENCE_S, self._load_s + self._daemon_load_s, overlaps=False)
        return Place(policy, start)

    @property
    def _daemon_load_s(self) -> float:
        """Longer than a worker may load the functions, so that the executor's own error comes first."""
        return self._load_s + 30.0

    def _process(self, role: str, *, creates_store: bool, sources: SourceSnapshot | None, **about: Any) -> ChildProcess:
        options = replace(self._options, has_store=not creates_store)
        port = str(self._sockets.live.getsockname()[1])
        environ = handed_on({"LEANCLOUD_APP_PORT": port}, self._settings.origin("port"))
        fileno = sources.fileno if sources else None
        return ChildProcess(role, options.as_values(), environ=environ, sources=fileno, **about)

    def _preview(self, source: PreviewSource, sources: SourceSnapshot | None) -> Place:
        settings, listener = self._settings, self._sockets.stage
        assert listener is not None
        environ = {
            "LEANCLOUD_APP_ENV": Environment.STAGE.value,
            "LEANCLOUD_APP_PORT": str(listener.getsockname()[1]),
            "SCHEDULER_STORE": settings.store_url,
            "SCHEDULER_DURABILITY": settings.durability,
            "SCHEDULER_STORE_TIMEOUT_S": str(settings.store_timeout_s),
            **({} if settings.assumed_zone else {"SCHEDULER_TZ": settings.tz}),
            "SCHEDULER_MAX_TIMERS": str(settings.max_timers),
            "SCHEDULER_KEEP_DAYS": str(settings.keep_days),
            "SCHEDULER_LOG_LEVEL": settings.log_level,
            "SCHEDULER_LOG_FORMAT": settings.log_format,
        }

        def start(_is_first: bool) -> ChildProcess:
            own = UpOptions({}, source.target, as_json=self._options.as_json, is_preview=True)
            fileno = sources.fileno if sources else None
            return ChildProcess(
                "stage", own.as_values(), listener=listener, sources=fileno, cwd=source.folder, environ=environ
            )

        grown = settings.web_memory_mb * _MB
        return Place(WatchPolicy("the preview", WEB_SILENCE_S, self._load_s, grown_bytes=grown), start)
