"""One `scheduler up` as a real process, and how a test calls it, stops it and inspects it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import chdir, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.scheduler.command_line import CommandLine
from tests.waiting import PATIENCE_S, eventually, slowed


class Up:
    """One `scheduler up` in a folder; `facts` is what it printed when it was ready.

    `under` are the words of a program that starts it, as in `nice scheduler up`.
    """

    def __init__(
        self, folder: Path, *options: str, under: Sequence[str] = (), python: str = sys.executable, **environ: str
    ) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*under, python, "-m", "scheduler", "up", "--port", "0", "--json", *options],
            cwd=folder,
            env=clean_environ() | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # `communicate` is to leave stderr to the thread.
        self._stderr, self.process.stderr = self.process.stderr, None
        self._stderr_lines: list[str] = []
        #: What it printed after the facts; set when it has ended.
        self.stdout = ""
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()
        line = self.process.stdout.readline()
        assert line, self.ended()
        self.facts: dict[str, Any] = json.loads(line)
        self.url: str = self.facts["url"]

    @property
    def stderr(self) -> str:
        """The text of stderr so far."""
        return "".join(self._stderr_lines)

    def processes(self, role: str) -> list[int]:
        """The living child processes in a role: web, daemon, stage or service."""
        return [pid for pid in living(*children(self.process.pid)) if _role(pid) == role]

    def only(self, role: str) -> int:
        """The one process in a role."""
        (pid,) = eventually(lambda: self.processes(role), lambda seen: len(seen) == 1)
        return pid

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM; returns the exit status and the text of stderr."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """Send SIGKILL, as the kernel does when memory is short."""
        self.process.kill()
        self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for its end; returns the exit status and the text of stderr. The rest of stdout is in `stdout` then."""
        self.stdout, _ = self.process.communicate(timeout=PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert not self._reader.is_alive(), "another process still holds its stderr"
        self._stderr.close()
        return self.process.returncode, self.stderr

    def _read_stderr(self) -> None:
        for line in self._stderr:
            self._stderr_lines.append(line)


@contextmanager
def up(
    folder: Path, *options: str, under: Sequence[str] = (), python: str = sys.executable, **environ: str
) -> Iterator[Up]:
    running = Up(folder, *options, under=under, python=python, **environ)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def clean_environ() -> dict[str, str]:
    """The environment without settings of ours, and without a console, since all of them would want one port."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LEANCLOUD_", "LC_", "SCHEDULER_"))
    }
    return kept | {"SCHEDULER_CONSOLE": "false"}


def cli(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scheduler", *words],
        check=False,
        cwd=folder,
        env=clean_environ() | environ,
        capture_output=True,
        text=True,
        timeout=slowed(PATIENCE_S),
    )


def command(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command that `cli` would start as a process, run in this one, for what a test has to prepare or to read.

    Starting Python and importing the command line takes a second of a processor each time.
    """
    with chdir(folder), patch.dict(os.environ, clean_environ() | environ, clear=True):
        result = CommandLine(folder).run(*words)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def fetch(url: str, headers: dict[str, str] | None = None, data: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=slowed(PATIENCE_S)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def curl(call: str, *, instead: str = "hello", body: str = "{}") -> tuple[int, str]:
    """Do what the printed curl call would do; its words are read as a shell reads them."""
    words = shlex.split(call)
    assert words[:3] == ["curl", "-X", "POST"]
    headers = dict(word.split(": ", 1) for before, word in pairwise(words) if before == "-H")
    assert words[words.index("-d") + 1] == "{}"
    return fetch(words[-1].replace("/hello", f"/{instead}"), headers, body.encode())


def _role(pid: int) -> str:
    """The last word of its command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").rpartition(b"\0")[2].decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """The child processes of a process; none of one that is gone."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in task.read_text().split()]
    return found


def living(*pids: int) -> list[int]:
    """Those of some processes that have not ended; a zombie has."""
    return [pid for pid in pids if _state(pid) not in "ZX"]


def _state(pid: int) -> str:
    """The letter that proc(5) gives for the state of a process; X, dead, where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def count_of(folder: Path, query: str) -> int:
    """The number that a query of the folder's store returns, without the start-up time of the store's own code."""
    return count_in(folder / ".scheduler" / "store.db", query)


def count_in(file: Path, query: str) -> int:
    """The number that a query of a SQLite store returns."""
    with closing(sqlite3.connect(file)) as connection:
        (count,) = connection.execute(query).fetchone()
    return int(count)
