"""The faults: what each does to the field, and how it is undone.

A fault is a context: it is made when the context is entered, and is over when it is left.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url

from tests.scheduler.chaos.field import Field, Member, signal_to
from tests.scheduler.chaos.plan import Fault, Range
from tests.scheduler.fault_scale import IS_LONG, scaled
from tests.scheduler.up_process import curl

Make = Callable[[Field, Fault], AbstractContextManager[None]]


class Kind(NamedTuple):
    """A kind of fault."""

    make: Make
    range: Range
    #: How long it lasts in the long form.
    long_range: Range


#: Faults that the service does not survive yet, each with what happens.
NOT_YET: dict[str, str] = {}
#: The members that live as long as a long run does, so that it shows whether they grow.
SPARED = ("daemon-0", "fleet-0")

# Processes


def _of(members: list[Member], fault: Fault) -> Member:
    return members[fault.target % len(members)]


def _main(members: list[Member], fault: Fault) -> int:
    return _of(members, fault).pid


def _child(members: list[Member], fault: Fault) -> int:
    """A descendant of a member; the member itself where it has none."""
    member = _of(members, fault)
    found = member.descendants() or [member.pid]
    return found[int(fault.pick * len(found))]


Find = Callable[[list[Member], Fault], int]
Members = Callable[[Field], list[Member]]


def _stopping(members: Members, find: Find) -> Make:
    """A process stands still."""

    @contextmanager
    def make(field: Field, fault: Fault) -> Iterator[None]:
        pid = find(members(field), fault)
        signal_to(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_to(pid, signal.SIGCONT)

    return make


def _slowing(members: Members, find: Find) -> Make:
    """A process gets a quarter of the time, in slices."""

    @contextmanager
    def make(field: Field, fault: Fault) -> Iterator[None]:
        pid, is_over = find(members(field), fault), threading.Event()

        def pulse() -> None:
            while not is_over.is_set():
                signal_to(pid, signal.SIGSTOP)
                is_over.wait(0.09)
                signal_to(pid, signal.SIGCONT)
                is_over.wait(0.03)

        thread = threading.Thread(target=pulse)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    return make


def _check_life(field: Field, member: Member) -> None:
    """Refuse to end a member that is ending, or while the file is away, or, in the long form, one that is watched."""
    assert not field.is_away, "the file is away"
    assert not member.is_replaced(), "it is ending"
    assert not (IS_LONG and member.name in SPARED), "it is spared"


def _killing(members: Members) -> Make:
    """A member is killed, and another one starts when the fault is over."""

    @contextmanager
    def make(field: Field, fault: Fault) -> Iterator[None]:
        member = _of(members(field), fault)
        _check_life(field, member)
        member.kill()
        try:
            yield
        finally:
            member.start()

    return make


def _ending(members: Members) -> Make:
    """A member gets SIGTERM, and another one starts when it has ended."""

    @contextmanager
    def make(field: Field, fault: Fault) -> Iterator[None]:
        member = _of(members(field), fault)
        _check_life(field, member)
        member.replace_at_its_end()
        yield

    return make


def _signalling(members: Members, number: int) -> Make:
    """A descendant of a member gets a signal."""

    @contextmanager
    def make(field: Field, fault: Fault) -> Iterator[None]:
        pid = _child(members(field), fault)
        if pid != _main(members(field), fault):
            signal_to(pid, number)
        yield

    return make


def _of_members(word: str, members: Members) -> dict[str, Kind]:
    """The faults of processes of one sort."""
    # There is one `up` only, whatever the target.
    life = Range(0.3, 3.0, f"life of {word}", is_per_target=word != "up")
    long_life = life._replace(longest_s=8.0)
    short, long = Range(0.2, 3.5), Range(0.2, 12.0)
    return {
        f"stop {word}": Kind(_stopping(members, _main), short, long),
        f"slow {word}": Kind(_slowing(members, _main), short, long),
        f"kill {word}": Kind(_killing(members), life, long_life),
        f"end {word}": Kind(_ending(members), life, long_life),
        f"stop child of {word}": Kind(_stopping(members, _child), short, long),
        f"slow child of {word}": Kind(_slowing(members, _child), short, long),
        f"kill child of {word}": Kind(_signalling(members, signal.SIGKILL), Range(0.0, 0.1), Range(0.0, 0.1)),
        f"end child of {word}": Kind(_signalling(members, signal.SIGTERM), Range(0.0, 0.1), Range(0.0, 0.1)),
    }


@contextmanager
def _set_clock(field: Field, fault: Fault) -> Iterator[None]:
    """The clock of a daemon is wrong for a while."""
    number = fault.target % len(field.daemons)
    field.set_clock(number, scaled(1.5, 20.0) * fault.amount)
    try:
        yield
    finally:
        field.set_clock(number, 0.0)


def _calling(deed: str) -> Make:
    """A client calls a function of a `scheduler up` that harms what runs it, and does not wait for the answer."""

    @contextmanager
    def make(field: Field, fault: Fault) -> Iterator[None]:
        member = _of(field.ups, fault)
        assert member.is_ready(), "it is not up"
        call = json.loads(member.first_line)["call"]

        def do() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                curl(call, instead="over_http", body=json.dumps({"deed": deed}))

        threading.Thread(target=do, daemon=True).start()
        yield

    return make


PROCESSES: dict[str, Kind] = {
    **_of_members("daemon", lambda field: field.daemons),
    "set clock": Kind(_set_clock, Range(0.5, 4.0, "clock", True), Range(0.5, 20.0, "clock", True)),
}
UPS = {
    **_of_members("up", lambda field: field.ups),
    **{
        f"{deed} over HTTP": Kind(_calling(deed), Range(0.0, 0.1, "http"), Range(0.0, 0.1, "http"))
        for deed in ("hold_gil", "exit", "stop_itself")
    },
}
FLEETS = _of_members("fleet", lambda field: field.fleet)

# A SQLite file


def _file(field: Field) -> Path:
    return Path(str(make_url(field.url).database))


@contextmanager
def _locked(field: Field, fault: Fault) -> Iterator[None]:
    """Another program holds the write lock."""
    with field.connected() as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _read(field: Field, fault: Fault) -> Iterator[None]:
    """Another program reads in one long transaction, so that the log cannot be checkpointed."""
    with field.connected() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM runs").fetchone()
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _checkpointed(field: Field, fault: Fault) -> Iterator[None]:
    """An administrator checkpoints the log and compacts the file."""
    with field.connected() as connection, contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA busy_timeout = 2000")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("VACUUM")
    yield


@contextmanager
def _moved_away(field: Field, fault: Fault) -> Iterator[None]:
    """The file has another name for a while, in which nobody starts: the first who did would make a new one."""
    file = _file(field)
    assert all(member.is_ready() and not member.is_replaced() for member in field.members), "somebody starts"
    away = file.with_name("away.db")
    file.rename(away)
    field.is_away = True
    try:
        yield
    finally:
        field.is_away = False
        if file.exists():
            field.violations.append("a file was made anew where the store had been moved away")
        away.rename(file)


@contextmanager
def _disk_full(field: Field, fault: Fault) -> Iterator[None]:
    """The file system of the store is full to the last byte."""
    assert field.disk is not None, "no right to mount a small disk"
    ballast = field.disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65_536, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    try:
        yield
    finally:
        ballast.unlink()


SQLITE = {
    "lock": Kind(_locked, Range(0.2, 3.0, "file"), Range(0.2, 4.0, "file")),
    "lock beyond the busy time": Kind(_locked, Range(5.5, 6.5, "file"), Range(6.0, 15.0, "file")),
    "read for long": Kind(_read, Range(1.0, 5.0), Range(1.0, 40.0)),
    "checkpoint": Kind(_checkpointed, Range(0.0, 0.1), Range(0.0, 0.1)),
    "move the file": Kind(_moved_away, Range(0.3, 3.0, "file"), Range(0.3, 8.0, "file")),
    "fill the disk": Kind(_disk_full, Range(0.3, 3.0, "file"), Range(0.3, 8.0, "file")),
}

# A PostgreSQL server


def _server_processes(field: Field) -> list[int]:
    """The processes of the server, the postmaster first."""
    (folder,) = _server_query(field, "SHOW data_directory")[0]
    postmaster = int((Path(str(folder)) / "postmaster.pid").read_text().split()[0])
    words = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, words)]


def _server_query(field: Field, query: str) -> list[tuple[object, ...]]:
    assert field.server is not None
    return field.server.execute(query)


@contextmanager
def _server_stopped(field: Field, fault: Fault) -> Iterator[None]:
    """The server stands still, with all its connections open."""
    pids = _server_processes(field)
    for pid in pids:
        signal_to(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            signal_to(pid, signal.SIGCONT)


@contextmanager
def _server_away(field: Field, fault: Fault) -> Iterator[None]:
    """The server is stopped, and started again."""
    assert field.server is not None
    field.server.stop()
    try:
        yield
    finally:
        field.server.start()


@contextmanager
def _connections_cut(field: Field, fault: Fault) -> Iterator[None]:
    """An administrator terminates every connection to the store."""
    _server_query(field, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_theirs(field)}")
    yield


@contextmanager
def _backend_killed(field: Field, fault: Fault) -> Iterator[None]:
    """One process of the server is killed, and the server restarts all of them."""
    pids = _server_query(field, f"SELECT pid FROM pg_stat_activity WHERE {_theirs(field)} ORDER BY pid")
    if pids:
        signal_to(int(str(pids[int(fault.pick * len(pids))][0])), signal.SIGKILL)
    yield


def _theirs(field: Field) -> str:
    return f"datname = '{make_url(field.url).database}' AND pid <> pg_backend_pid()"


_TABLES = ("timers", "runs", "daemons", "lines", "timers, runs, daemons, lines")


@contextmanager
def _table_locked(field: Field, fault: Fault) -> Iterator[None]:
    """Another program has locked tables."""
    tables = _TABLES[int(fault.pick * len(_TABLES))]
    with field.connected() as connection:
        with contextlib.suppress(Exception):
            connection.execute("SET lock_timeout = 2000")
            connection.execute("BEGIN")
            connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def _no_connections(field: Field, fault: Fault) -> Iterator[None]:
    """Other programs hold every connection that the server admits, so that one that is cut cannot be had again."""
    import psycopg

    url = make_url(field.url).render_as_string(hide_password=False)
    with contextlib.ExitStack() as held:

        def take() -> None:
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    held.callback(psycopg.connect(url, autocommit=True, application_name="hoarder").close)

        take()
        with contextlib.suppress(psycopg.OperationalError):
            others = f"{_theirs(field)} AND application_name <> 'hoarder'"
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        take()
        yield


POSTGRESQL = {
    "stop the server": Kind(_server_stopped, Range(0.3, 3.0, "server"), Range(0.3, 20.0, "server")),
    "restart the server": Kind(_server_away, Range(0.2, 2.0, "server"), Range(0.2, 8.0, "server")),
    "cut connections": Kind(_connections_cut, Range(0.0, 0.1, "server"), Range(0.0, 0.1, "server")),
    "kill a backend": Kind(_backend_killed, Range(1.0, 1.5, "server"), Range(1.0, 1.5, "server")),
    "lock tables": Kind(_table_locked, Range(0.3, 6.5, "server"), Range(0.3, 15.0, "server")),
    "take all connections": Kind(_no_connections, Range(0.3, 3.0, "server"), Range(0.3, 10.0, "server")),
}
