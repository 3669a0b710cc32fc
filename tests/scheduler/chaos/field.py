"""The processes that faults are made on: daemons, `scheduler up`, workers of a fleet, and the store beneath them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from scheduler.store.database import Store
from tests.scheduler.chaos import timetable
from tests.scheduler.chaos.oracle import Note, Row
from tests.scheduler.daemon_processes import PROGRAM
from tests.scheduler.lifeline import ending_with_tests, lifeline
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import children, clean_environ
from tests.waiting import PATIENCE_S, eventually, slowed

#: How long a daemon waits for its runs after SIGTERM.
GRACE_S = 2.0
#: How much longer a process may take to end after SIGTERM than its runs: a statement's deadline, and some.
END_S = timetable.WORK_LIMIT_S + GRACE_S + 14.0
#: Marks every process that a run started, so that one that is left over is found.
_MARK = "CHAOS_RUN"


class Member:
    """A process that is started, killed and started again, under the same name.

    `violations` holds what it did against a promise: it did not end, or ended by itself.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, mark: str) -> None:
        self.name, self.violations = name, list[str]()
        self._command, self._folder = command, folder
        self._environ = clean_environ() | {_MARK: mark}
        self._threads: list[threading.Thread] = []
        self._has_come_up = threading.Event()
        #: Whether a fault has killed it and will start it again.
        self._is_killed = False
        self.start()

    def start(self) -> None:
        """Start the process; does not wait until it is ready."""
        self._has_come_up.clear()
        self._is_killed = False
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                ending_with_tests(*self._command),
                cwd=self._folder,
                pass_fds=[lifeline()],
                env=self._environ,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """Read what it prints: the first line says that it is ready."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if process is self.process and not self._has_come_up.is_set():
                    self.first_line = line.decode(errors="replace")
                    self._has_come_up.set()

    def is_ready(self) -> bool:
        return self._has_come_up.is_set() and self.process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid

    def descendants(self) -> list[int]:
        """Its children, and theirs."""
        found, rest = list[int](), [self.pid]
        while rest:
            with contextlib.suppress(OSError):
                below = children(rest.pop())
                found += below
                rest += below
        return sorted(found)

    def revive(self) -> None:
        """Start it again where it has ended before it was ready, as a service manager does: the store was away."""
        # Asked in this order, because the process is another one when the replacement is over.
        if (
            not self.is_replaced()
            and not self._is_killed
            and self.process.poll() not in (None, 0)
            and not self._has_come_up.is_set()
        ):
            self.start()

    def is_replaced(self) -> bool:
        """Whether it got SIGTERM, and another one will start by itself."""
        return any(thread.is_alive() for thread in self._threads)

    def kill(self) -> None:
        """Kill it; it is started again later."""
        self._check_runs()
        self._is_killed = True
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def replace_at_its_end(self) -> None:
        """Send SIGTERM, and start another one when it has ended, or has not within the bound."""
        self._check_runs()
        self.process.terminate()
        thread = threading.Thread(target=self._replace, args=[time.monotonic()])
        self._threads.append(thread)
        thread.start()

    def _replace(self, since: float) -> None:
        self._wait_for_end(since)
        self.start()

    def _wait_for_end(self, since: float) -> None:
        """Wait within the bound for its end, else kill it and note that."""
        was_ready = self._has_come_up.is_set()
        while self.process.poll() is None:
            if time.monotonic() - since > slowed(END_S):
                self.violations.append(f"{self.name} had not ended {time.monotonic() - since:.1f} s after SIGTERM")
                self.process.kill()
                self.process.wait(PATIENCE_S)
                return
            time.sleep(0.05)
        if self.process.returncode != 0 and was_ready:
            self.violations.append(f"{self.name} ended with status {self.process.returncode} after SIGTERM")

    def join(self) -> None:
        """Wait for replacements that go on."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._threads.clear()

    def stop(self) -> None:
        """Send SIGTERM and wait for the end."""
        self._check_runs()
        self.process.terminate()
        self._wait_for_end(time.monotonic())

    def _check_runs(self) -> None:
        if self.process.poll() is not None and self._has_come_up.is_set():
            self.violations.append(f"{self.name} had ended by itself with status {self.process.returncode}")

    def close(self) -> None:
        self.join()
        if self.process.poll() is None:
            for pid in (*self.descendants(), self.pid):
                signal_to(pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)

    def log(self) -> list[str]:
        """The lines of its log, without those that misbehaving functions printed."""
        lines = (self._folder / f"{self.name}.log").read_text(errors="replace").splitlines()
        return [line for line in lines if "still here" not in line]


class Field:
    """Daemons, `scheduler up` and a fleet's workers on one store, their files, and how they are inspected."""

    def __init__(
        self, url: str, folder: Path, *, server: Server | None = None, disk: Path | None = None, broker: str = ""
    ) -> None:
        self.url, self.folder, self.server, self.disk, self.broker = url, folder, server, disk, broker
        self.notes_file = folder / "notes"
        (folder / "cloud.py").write_text(timetable.CLOUD)
        self.store = Store(url)
        self.daemons, self.ups, self.fleet = list[Member](), list[Member](), list[Member]()
        #: Within how many seconds timers are on time again; in a fleet, a lost worker's runs are found by their limit.
        self.return_s = 10.0 + (timetable.WORK_LIMIT_S + 6.0 if broker else 0.0)
        #: Within which time what was claimed has an outcome: its limit, and in a fleet until it is published once more.
        self.outcomes_s = 60.0 if broker else 15.0
        #: Whether the file of the store has another name at the moment.
        self.is_away = False
        self.violations: list[str] = []
        self._mark = uuid.uuid4().hex
        self._notes: list[Note] = []
        self._read_until = 0
        self._clocks: list[Path] = []

    @property
    def members(self) -> list[Member]:
        return [*self.daemons, *self.ups, *self.fleet]

    def start(self, *, daemons: int = 0, ups: int = 0, fleet: int = 0) -> None:
        """Start so many of each; does not wait until they are ready."""
        for number in range(fleet):
            self.fleet.append(self._fleet_worker(number))
        for number in range(daemons):
            self.daemons.append(self._daemon(number))
        for number in range(ups):
            words = ["up", "cloud.py", "--port", "0", "--json", "--store", self.url]
            self.ups.append(self._scheduler(f"up-{number}", *words))

    def _daemon(self, number: int) -> Member:
        """A daemon; where the store has a server, it is on a host that no other can look into."""
        clock = self.folder / f"clock-{number}"
        self._clocks.append(clock)
        self.set_clock(number, 0.0)
        host = f"machine-{number}" if self.server else socket.gethostname()
        target = str(self.folder / "cloud.py")
        words = [sys.executable, "-c", PROGRAM, host, self.url, target, str(GRACE_S), str(clock), self.broker]
        return Member(f"daemon-{number}", words, self.folder, self._mark)

    def _fleet_worker(self, number: int) -> Member:
        """A worker of a fleet, with two processes."""
        name = f"fleet-{number}"
        words = ["worker", "cloud.py", "--store", self.url, "--broker", self.broker, "-c", "2", "--name", name]
        return self._scheduler(name, *words)

    def _scheduler(self, name: str, *words: str) -> Member:
        return Member(name, [sys.executable, "-m", "scheduler", *words], self.folder, self._mark)

    def set_clock(self, daemon: int, ahead_s: float) -> None:
        """Set the system clock of one daemon ahead of the true one."""
        written = self._clocks[daemon].with_suffix(".new")
        written.write_text(str(ahead_s))
        written.replace(self._clocks[daemon])

    def clock(self, daemon: int) -> float:
        return float(self._clocks[daemon].read_text())

    def notes(self) -> list[Note]:
        """What the functions wrote so far."""
        if not self.notes_file.exists():
            return self._notes
        with self.notes_file.open("rb") as file:
            file.seek(self._read_until)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._read_until += len(complete) + len(newline)
        for line in complete.decode().splitlines():
            word, timer, *numbers = line.split()
            self._notes.append(Note(word, timer, *map(int, numbers)))
        return self._notes

    def rows(self) -> list[Row]:
        """The whole history."""
        columns = "id, timer, kind, fire_at, last_fire_at, count, attempt, outcome, owner, error"
        return [Row(*row) for row in self._query(f"SELECT {columns} FROM runs ORDER BY id")]

    def next_fires(self) -> dict[str, int]:
        """The next fire time of each enabled timer."""
        return dict(self._query("SELECT name, next_fire_at FROM timers WHERE next_fire_at IS NOT NULL"))

    def _query(self, query: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            return list(connection.execute(query).fetchall())

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        """A connection of the driver, in autocommit."""
        url = make_url(self.url)
        if self.server is None:
            # A file that was moved away must not be made anew.
            file = f"file:{url.database}?mode=rw"
            connection: Any = sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None, uri=True)
        else:
            import psycopg

            connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        try:
            yield connection
        finally:
            connection.close()

    def wait_until_ready(self) -> None:
        for member in self.members:
            eventually(member.is_ready, within_s=slowed(PATIENCE_S))

    def all_violations(self) -> list[str]:
        """Those of the members, and what faults found."""
        return [*self.violations, *(violation for member in self.members for violation in member.violations)]

    def left_over(self) -> list[int]:
        """The processes of this run that have not ended."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._is_ours(entry)]

    def _is_ours(self, process: Path) -> bool:
        try:
            return f"{_MARK}={self._mark}".encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def stop(self) -> None:
        """End every member with SIGTERM, all at once; a fleet's workers last, because daemons wait for their runs."""
        for members in ([*self.daemons, *self.ups], self.fleet):
            _all_at_once([member.stop for member in members])

    def close(self) -> None:
        for member in self.members:
            member.close()
        for pid in self.left_over():
            signal_to(pid, signal.SIGKILL)
        self.store.close()


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _all_at_once(calls: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
