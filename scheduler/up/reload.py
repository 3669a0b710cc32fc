"""scheduler up --reload: one process serves; when a source file changes, the next one takes over from it.

The new process is ready before the old one stops beginning runs, and both daemons share the store, so that no fire is
lost or doubled. One that does not start leaves the old one serving.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .handover import Child
from .http_server import ONCE_MORE, ending_signals, note

log = logging.getLogger("scheduler.up")

#: How often the sources are looked at, and how long they must stay as they are: editors save in several steps.
LOOK_EVERY_S = 0.25
READY_WITHIN_S = 60.0
_SKIPPED = {"__pycache__", "node_modules"}

Snapshot = dict[str, tuple[int, int]]


def snapshot(folders: Sequence[Path]) -> Snapshot:
    """When each Python file and scheduler.toml below folders was written, and how long it is."""
    found: Snapshot = {}
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [name for name in names if _is_source(Path(parent, name))]
            for name in files:
                if name.endswith(".py") or name == "scheduler.toml":
                    path = os.path.join(parent, name)  # noqa: PTH118  a Path for each file would cost more than the look
                    try:
                        status = os.stat(path)  # noqa: PTH116
                    except OSError:  # it is gone already
                        continue
                    found[path] = status.st_mtime_ns, status.st_size
    return found


def _is_source(folder: Path) -> bool:
    return folder.name not in _SKIPPED and folder.name[:1] != "." and not (folder / "pyvenv.cfg").exists()


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    """The names of files that are new, gone or different."""
    return sorted({Path(path).name for path, _ in before.items() ^ after.items()})


class Supervisor:
    """Keeps one child serving; `words` are the command of a child, without what starts Python."""

    def __init__(
        self,
        words: Sequence[str],
        folders: Sequence[Path],
        listener: socket.socket,
        stage: socket.socket | None,
        metrics: socket.socket | None = None,
    ) -> None:
        self._words = words
        self._folders = folders
        self._listener = listener
        self._stage = stage
        self._metrics = metrics
        self._signals: list[int] = []
        self._retiring: list[Child] = []

    def run(self) -> int:
        """Serve until a signal says stop; the exit status of the child that served last."""
        seen = snapshot(self._folders)
        serving = self._start(again=False)
        if serving.facts(READY_WITHIN_S) is None:
            return serving.wait()
        with self._signals_caught():
            while not self._signals:
                time.sleep(LOOK_EVERY_S)
                self._reap()
                now = snapshot(self._folders)
                if now != seen:
                    now = self._settled(now)
                    serving = self._replaced(serving, changed(seen, now), now)
                    seen = now
                elif serving.exit_status() is not None:
                    status = serving.wait()
                    log.error("what served ended by itself with status %d", status)
                    return status
            return self._stop(serving)

    def _start(self, *, again: bool) -> Child:
        return Child(
            self._words, self._listener, stage_listener=self._stage, metrics_listener=self._metrics, again=again
        )

    def _settled(self, now: Snapshot) -> Snapshot:
        while True:
            time.sleep(LOOK_EVERY_S)
            later = snapshot(self._folders)
            if later == now:
                return later
            now = later

    def _replaced(self, serving: Child, names: list[str], now: Snapshot) -> Child:
        """The child that serves what is saved now, or the one that did so far."""
        what = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        began = time.monotonic()
        successor = self._start(again=True)

        def is_unwanted() -> bool:
            return bool(self._signals) or serving.exit_status() is not None or snapshot(self._folders) != now

        if successor.facts(READY_WITHIN_S, gives_up=is_unwanted) is None:
            if time.monotonic() - began >= READY_WITHIN_S:
                log.error("%s changed, but was not ready within %g s; the last version goes on", what, READY_WITHIN_S)
            elif not is_unwanted():
                log.error("%s changed, but does not start; the last good version goes on serving", what)
            successor.close()
            return serving
        serving.stop()
        self._retiring.append(serving)
        log.info("%s changed; reloaded in %.1f s", what, time.monotonic() - began)
        return successor

    def _reap(self) -> None:
        for child in [child for child in self._retiring if child.exit_status() is not None]:
            child.close()
            self._retiring.remove(child)

    def _stop(self, serving: Child) -> int:
        children = [*self._retiring, serving]
        obeyed = 0
        while any(child.exit_status() is None for child in children):
            for _ in self._signals[obeyed:2]:
                obeyed += 1
                if obeyed == 1:
                    log.info("stopping; %s", ONCE_MORE)
                for child in children:
                    child.stop()
            time.sleep(0.05)
        return serving.wait()

    @contextmanager
    def _signals_caught(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._note) for number in ending_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        note(number, self._signals)


def supervise(
    folders: Sequence[Path], listener: socket.socket, stage: socket.socket | None, metrics: socket.socket | None
) -> int:
    """Run this very command in children, one after another, until a signal says stop."""
    return Supervisor(["-m", "scheduler", *sys.argv[1:]], folders, listener, stage, metrics).run()
