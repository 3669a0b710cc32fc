"""Outlets on real pipes, terminals and files: who prints never waits, and what was not shown is counted."""

from __future__ import annotations

import logging
import os
import select
import socket
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.up.nonblocking_output import MAX_BUFFERED_BYTES, NonblockingOutput, nonblocking_stdio

#: More than any pipe or terminal holds.
MUCH = 300_000


@pytest.fixture(params=["pipe", "terminal", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Where to read, and where to write."""
    if request.param == "pipe":
        reads, writes = os.pipe()
    elif request.param == "terminal":
        reads, writes = os.openpty()
        tty.setraw(writes)
    else:
        reads, writes = (end.detach() for end in socket.socketpair())
    yield reads, writes
    for fileno in (reads, writes):
        try:
            os.close(fileno)
        except OSError:
            continue


class Warnings(logging.Handler):
    """What the outlets log."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        self.came.set()


@pytest.fixture
def warnings() -> Iterator[Warnings]:
    handler, logger = Warnings(), logging.getLogger("scheduler.up")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def is_readable(fileno: int) -> bool:
    """Whether there is something to read; the kernel hands it on to a terminal's reader after a moment."""
    return bool(select.select([fileno], [], [], 0.05)[0])


def read(fileno: int, length: int) -> bytes:
    got = b""
    while len(got) < length:
        got += os.read(fileno, length - len(got))
    return got


def test_who_prints_never_waits_and_a_late_reader_gets_all_of_it_in_order(ends: tuple[int, int]) -> None:
    """A pager that stands still: the lines wait, and none is cut or lost."""
    reads, writes = ends
    outlet = NonblockingOutput(writes, "stdout")
    lines = [b"%d %s\n" % (number, b"x" * (number % 200)) for number in range(3_000)]
    assert sum(map(len, lines)) > MUCH
    for line in lines:
        outlet.write(line)
    assert read(reads, sum(map(len, lines))) == b"".join(lines)
    outlet.finish()


def test_what_nobody_reads_is_bounded_and_counted(ends: tuple[int, int], warnings: Warnings) -> None:
    """Whole lines are dropped; once the rest was read, a warning says how many."""
    reads, writes = ends
    outlet = NonblockingOutput(writes, "stdout")
    line = b"x" * 999 + b"\n"
    for _ in range(3_000):
        outlet.write(line)
    shown = 0
    while (readable := is_readable(reads)) or not warnings.came.is_set():
        if readable:
            assert read(reads, len(line)) == line
            shown += 1
    assert warnings.said == [f"{3_000 - shown} lines were not shown on stdout, which was not read"]
    assert MAX_BUFFERED_BYTES <= shown * len(line) <= 2 * MAX_BUFFERED_BYTES
    outlet.write(b"on it goes\n")
    assert read(reads, 11) == b"on it goes\n"
    outlet.finish()


def test_a_reader_that_went_is_no_error(ends: tuple[int, int]) -> None:
    """scheduler up | head: what is printed from then on is gone, and nobody minds."""
    reads, writes = ends
    outlet = NonblockingOutput(writes, "stdout")
    for _ in range(300):
        outlet.write(b"x" * 999 + b"\n")
    os.close(reads)
    for _ in range(300):
        outlet.write(b"x" * 999 + b"\n")
    outlet.finish()


@given(st.lists(st.binary(max_size=9_000), max_size=20))
def test_a_file_holds_what_was_written_when_the_write_returns(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """Nothing waits where nothing has to; another program that appends to the same file is not overwritten."""
    path = tmp_path_factory.mktemp("outlet") / "log"
    with path.open("ab") as file:
        outlet = NonblockingOutput(file.fileno(), "stdout")
        for piece in pieces:
            outlet.write(piece)
            with path.open("ab") as other:
                other.write(b"|")
        assert path.read_bytes() == b"".join(piece + b"|" for piece in pieces)
        outlet.finish()


def test_within_the_block_stdout_is_as_programs_know_it() -> None:
    """Text, bytes, half of a surrogate pair; afterwards everything is as before."""
    reads, writes = os.pipe()
    with os.fdopen(writes, "w", encoding="utf-8") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        with nonblocking_stdio():
            print("text")
            print("half of 🙂: \ud83d", file=sys.stderr)
            sys.stdout.buffer.write(b"bytes\n")
            sys.stdout.flush()
            assert (sys.stdout.fileno(), sys.stdout.isatty()) == (writes, False)
            print("the end", end="")
        assert sys.stdout is sys.stderr is stream
        stream.write("!\n")
    assert os.read(reads, 1_000).decode() == "text\nhalf of 🙂: \\ud83d\nbytes\nthe end!\n"
    os.close(reads)


def test_a_full_disk_costs_what_was_printed_and_no_more() -> None:
    """/dev/full: there is no room; nothing fails."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        outlet = NonblockingOutput(full.fileno(), "stdout")
        outlet.write(b"a line\n")
        outlet.finish()
