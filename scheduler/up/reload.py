"""scheduler up --reload: one process serves; when a source file changes, a new process replaces it.

The new process is ready before the old one stops beginning runs, and both daemons share the store, so that no fire is
lost or doubled. If the new one does not start, the old one keeps serving.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..project.settings import FILE_NAME
from .handover import ServerProcess
from .sockets import Sockets
from .stop_signals import SECOND_SIGNAL, StopSignals

log = logging.getLogger("scheduler.up")

#: The interval between snapshots. Editors save in several steps, so two equal ones end a change.
SNAPSHOT_EVERY_S = 0.25
READY_TIMEOUT_S = 60.0


def supervise(folders: Sequence[Path], sockets: Sockets) -> int:
    """Run this very command in child processes, one after another, until a stop signal; returns the exit status."""
    return Supervisor(["-m", "scheduler", *sys.argv[1:]], folders, sockets).run()


class Supervisor:
    """Keeps one child serving; `arguments` are those of the child's Python."""

    def __init__(self, arguments: Sequence[str], folders: Sequence[Path], sockets: Sockets) -> None:
        self._arguments = arguments
        self._folders = folders
        self._sockets = sockets
        self._signals = StopSignals()
        self._retiring: list[ServerProcess] = []

    def run(self) -> int:
        """Serve until a stop signal; the exit status of the child that served last."""
        before = snapshot(self._folders)
        serving = self._start(again=False)
        if serving.wait_ready(READY_TIMEOUT_S) is None:
            return serving.wait()
        with self._signals.recorded():
            while not self._signals.received:
                time.sleep(SNAPSHOT_EVERY_S)
                self._close_retired()
                now = snapshot(self._folders)
                if now != before:
                    now = self._settled(now)
                    serving = self._replaced(serving, changed_names(before, now), now)
                    before = now
                elif serving.exit_status() is not None:
                    status = serving.wait()
                    log.error("the serving process ended by itself with status %d", status)
                    return status
            return self._stop(serving)

    def _start(self, *, again: bool) -> ServerProcess:
        live, stage, metrics = self._sockets
        return ServerProcess(self._arguments, live, stage_listener=stage, metrics_listener=metrics, again=again)

    def _settled(self, now: Snapshot) -> Snapshot:
        while True:
            time.sleep(SNAPSHOT_EVERY_S)
            later = snapshot(self._folders)
            if later == now:
                return later
            now = later

    def _replaced(self, serving: ServerProcess, names: list[str], now: Snapshot) -> ServerProcess:
        """A child that serves the sources of the snapshot `now`; the present child where that does not start."""
        what = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        began = time.monotonic()
        successor = self._start(again=True)

        def is_outdated() -> bool:
            return bool(self._signals.received) or serving.exit_status() is not None or snapshot(self._folders) != now

        if successor.wait_ready(READY_TIMEOUT_S, should_abort=is_outdated) is None:
            if time.monotonic() - began >= READY_TIMEOUT_S:
                log.error(
                    "%s changed, but is not ready within %g s; the last version keeps serving", what, READY_TIMEOUT_S
                )
            elif not is_outdated():
                log.error("%s changed, but does not start; the last good version keeps serving", what)
            successor.close()
            return serving
        serving.stop()
        self._retiring.append(serving)
        log.info("%s changed; reloaded in %.1f s", what, time.monotonic() - began)
        return successor

    def _close_retired(self) -> None:
        for child in [child for child in self._retiring if child.exit_status() is not None]:
            child.close()
            self._retiring.remove(child)

    def _stop(self, serving: ServerProcess) -> int:
        children = [*self._retiring, serving]
        handled = 0
        while any(child.exit_status() is None for child in children):
            for _ in self._signals.received[handled:2]:
                handled += 1
                if handled == 1:
                    log.info("stopping; %s", SECOND_SIGNAL)
                for child in children:
                    child.stop()
            time.sleep(0.05)
        return serving.wait()


#: Path → time of the last change in ns, and size in bytes.
Snapshot = dict[str, tuple[int, int]]


def snapshot(folders: Sequence[Path]) -> Snapshot:
    """Every Python file and scheduler.toml below the folders."""
    files_seen: Snapshot = {}
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [name for name in names if _is_source(Path(parent, name))]
            for name in files:
                if name.endswith(".py") or name == FILE_NAME:
                    path = os.path.join(parent, name)  # noqa: PTH118  a Path for each file costs more than the stat
                    try:
                        status = os.stat(path)  # noqa: PTH116
                    except OSError:  # removed in the meantime
                        continue
                    files_seen[path] = status.st_mtime_ns, status.st_size
    return files_seen


_SKIPPED = {"__pycache__", "node_modules"}


def _is_source(folder: Path) -> bool:
    return folder.name not in _SKIPPED and folder.name[:1] != "." and not (folder / "pyvenv.cfg").exists()


def changed_names(before: Snapshot, after: Snapshot) -> list[str]:
    """The names of files that are new, removed or changed."""
    return sorted({Path(path).name for path, _ in before.items() ^ after.items()})
