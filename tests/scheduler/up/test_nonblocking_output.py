"""Output to real pipes, terminals and files: a write never blocks, and lines that are not shown are counted."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.up import nonblocking_output
from scheduler.up.nonblocking_output import (
    MAX_BUFFERED_BYTES,
    NonblockingOutput,
    nonblocking_stdio,
)
from tests.waiting import PATIENCE_S

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
    """The warnings about dropped lines."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.logged = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.logged.set()


@pytest.fixture
def warnings() -> Iterator[Warnings]:
    handler, logger = Warnings(), logging.getLogger("scheduler.up")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def is_readable(fileno: int) -> bool:
    """Whether there is something to read; a terminal's reader gets it after a moment."""
    return bool(select.select([fileno], [], [], 0.05)[0])


def read(fileno: int, length: int) -> bytes:
    got = b""
    while len(got) < length:
        got += os.read(fileno, length - len(got))
    return got


def test_a_write_never_blocks_and_a_late_reader_gets_every_line_in_order(ends: tuple[int, int]) -> None:
    """As with a pager that waits for a key."""
    reads, writes = ends
    output = NonblockingOutput(writes, "stdout")
    lines = [b"%d %s\n" % (number, b"x" * (number % 200)) for number in range(3_000)]
    assert sum(map(len, lines)) > MUCH
    for line in lines:
        output.write(line)
    assert read(reads, sum(map(len, lines))) == b"".join(lines)
    output.finish()


def test_output_that_is_not_read_is_bounded_and_dropped_lines_are_counted(
    ends: tuple[int, int], warnings: Warnings
) -> None:
    """Whole lines are dropped; when the rest has been read, a warning has their number."""
    reads, writes = ends
    output = NonblockingOutput(writes, "stdout")
    line = b"x" * 999 + b"\n"
    for _ in range(3_000):
        output.write(line)
    shown = 0
    while (readable := is_readable(reads)) or not warnings.logged.is_set():
        if readable:
            assert read(reads, len(line)) == line
            shown += 1
    assert warnings.texts == [f"{3_000 - shown} lines were not shown on stdout, which was not read"]
    assert MAX_BUFFERED_BYTES <= shown * len(line) <= 2 * MAX_BUFFERED_BYTES
    output.write(b"once more\n")
    assert read(reads, 10) == b"once more\n"
    output.finish()


def test_a_closed_reader_is_no_error(
    ends: tuple[int, int], warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in scheduler up | head: later output is discarded, not counted as dropped, and the end waits for no reader."""
    reads, writes = ends
    output = NonblockingOutput(writes, "stdout")
    for _ in range(300):
        output.write(b"x" * 999 + b"\n")
    os.close(reads)
    for _ in range(300):
        assert output.write(b"x" * 999 + b"\n") == 1_000
    monkeypatch.setattr(nonblocking_output, "FLUSH_TIMEOUT_S", PATIENCE_S)
    began = time.monotonic()
    output.finish()
    assert time.monotonic() - began < PATIENCE_S / 2
    assert warnings.texts == []


@given(st.lists(st.binary(max_size=9_000), max_size=20))
def test_a_file_holds_what_was_written_when_the_write_returns(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    """It is not buffered, and lines that another program appends to the same file are not overwritten."""
    path = tmp_path_factory.mktemp("output") / "log"
    with path.open("ab") as file:
        output = NonblockingOutput(file.fileno(), "stdout")
        for piece in pieces:
            output.write(piece)
            with path.open("ab") as other:
                other.write(b"|")
        assert path.read_bytes() == b"".join(piece + b"|" for piece in pieces)
        output.finish()


def test_within_the_block_stdout_is_a_text_stream_with_a_buffer() -> None:
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


def test_a_write_to_a_full_disk_is_no_error(warnings: Warnings) -> None:
    """/dev/full refuses each write; the line is discarded."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        output = NonblockingOutput(full.fileno(), "stdout")
        assert [output.write(b"a line\n") for _ in range(2)] == [7, 7]
        output.finish()
    assert warnings.texts == []


def test_a_disk_that_has_room_again_takes_later_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the lines that it had no room for are lost."""
    write, is_full = os.write, True

    def refused(fileno: int, data: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fileno, data)

    monkeypatch.setattr(nonblocking_output.os, "write", refused)
    with (tmp_path / "log").open("ab") as file:
        output = NonblockingOutput(file.fileno(), "stdout")
        output.write(b"lost\n")
        is_full = False
        output.write(b"stored\n")
        output.finish()
    assert (tmp_path / "log").read_bytes() == b"stored\n"
