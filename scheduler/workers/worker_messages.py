"""The messages from a worker to the daemon, each one datagram: Ready · Broken · PackedLine · Ended · Done.

The daemon does not trust them, because a function may write to any descriptor: each message must begin with the
worker's tag, its lengths must add up, and every value must be in range. No value decides how much is allocated.
Instants are monotonic microseconds.
"""

from __future__ import annotations

import socket
import struct
from struct import Struct
from typing import Any, Final, NamedTuple

from ..core.breaker import Verdict
from ..core.log_limits import MAX_LINE_LENGTH
from ..core.run import Outcome
from ..executors.outcome import MAX_SHOWN
from .protocol import TAG_SIZE, PackedEnding, PackedLine


class ProtocolError(Exception):
    """A message that no worker sends, or not now: a function of the user wrote to the worker's own descriptors."""


_READY, _BROKEN, _LINE, _ENDED, _DONE = range(5)
_HEAD = Struct("<8sB")
_DONE_HEAD = Struct("<8sBQ")
_LINE_HEAD = Struct("<8sBqqB")
#: tag, kind, chunk, index, started, ended, outcome, verdict, dropped lines, bytes of error and of result; -1 for None
_ENDED_HEAD = Struct("<8sBQHqqBBIii")
_ENDED_SIZE: Final = _ENDED_HEAD.size
_MAX_LEVEL: Final = 32
#: Most bytes of one character in UTF-8.
_UTF_8 = 4
_OUTCOMES, _VERDICTS = [each.value for each in Outcome], [each.value for each in Verdict]
_OUTCOME_CODES = {name: code for code, name in enumerate(_OUTCOMES)}
_VERDICT_CODES = {name: code for code, name in enumerate(_VERDICTS)}


class Ready(NamedTuple):
    """The functions are loaded."""


class Broken(NamedTuple):
    """The functions cannot be loaded, and the worker ends."""

    why: str


class Ended(NamedTuple):
    """A run of a chunk ended, but not as a plain success."""

    chunk: int
    task_index: int
    ending: PackedEnding


class Done(NamedTuple):
    """The worker begins no more tasks of a chunk."""

    chunk: int


Message = Ready | Broken | PackedLine | Ended | Done


class Sender:
    """The worker's end of the channel to the daemon."""

    def __init__(self, channel: socket.socket, tag: bytes) -> None:
        self._send = channel.send
        self._tag = tag

    def ready(self) -> None:
        self._send(_HEAD.pack(self._tag, _READY))

    def broken(self, why: str) -> None:
        self._send(_HEAD.pack(self._tag, _BROKEN) + _encoded(why[:MAX_SHOWN]))

    def line(self, run_id: int, at: int, level: str, text: str) -> None:
        name = _encoded(level[:_MAX_LEVEL])
        head = _LINE_HEAD.pack(self._tag, _LINE, run_id, at, len(name))
        self._send(head + name + _encoded(text[:MAX_LINE_LENGTH]))

    def ended(self, chunk: int, index: int, ending: tuple[Any, ...]) -> None:
        """`ending` are the fields of a PackedEnding, with monotonic instants."""
        started_at, ended_at, outcome, verdict, error, result, dropped = ending
        error_bytes = b"" if error is None else _encoded(error[:MAX_SHOWN])
        result_bytes = b"" if result is None else _encoded(result[:MAX_SHOWN])
        head = _ENDED_HEAD.pack(
            self._tag,
            _ENDED,
            chunk,
            index,
            started_at,
            ended_at,
            _OUTCOME_CODES[outcome],
            _VERDICT_CODES[verdict],
            min(dropped, 0xFFFF_FFFF),
            -1 if error is None else len(error_bytes),
            -1 if result is None else len(result_bytes),
        )
        self._send(head + error_bytes + result_bytes)

    def done(self, chunk: int) -> None:
        self._send(_DONE_HEAD.pack(self._tag, _DONE, chunk))


def received(data: bytes, tag: bytes) -> Message:
    """The message of a worker with this tag; ProtocolError for anything else."""
    if data[:TAG_SIZE] != tag or len(data) < _HEAD.size:
        raise ProtocolError
    try:
        return _READERS[data[TAG_SIZE]](data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError from error


def _read_ready(data: bytes) -> Ready:
    _demand(len(data) == _HEAD.size)
    return Ready()


def _read_broken(data: bytes) -> Broken:
    return Broken(_decoded(data[_HEAD.size :], MAX_SHOWN))


def _read_line(data: bytes) -> PackedLine:
    _, _, run_id, at, level_size = _LINE_HEAD.unpack_from(data)
    text_at = _LINE_HEAD.size + level_size
    _demand(run_id >= 0 and len(data) >= text_at)
    level = _decoded(data[_LINE_HEAD.size : text_at], _MAX_LEVEL)
    return PackedLine(run_id, at, level, _decoded(data[text_at:], MAX_LINE_LENGTH))


def _read_ended(data: bytes) -> Ended:
    _, _, chunk, index, started_at, ended_at, outcome, verdict, dropped, error_size, result_size = (
        _ENDED_HEAD.unpack_from(data)
    )
    result_at = _ENDED_SIZE + (error_size if error_size > 0 else 0)
    whole = result_at + (result_size if result_size > 0 else 0)
    if error_size < -1 or result_size < -1 or len(data) != whole:
        raise ProtocolError
    error = None if error_size < 0 else _decoded(data[_ENDED_SIZE:result_at], MAX_SHOWN)
    result = None if result_size < 0 else _decoded(data[result_at:], MAX_SHOWN)
    ending = PackedEnding(started_at, ended_at, _OUTCOMES[outcome], _VERDICTS[verdict], error, result, dropped)
    return Ended(chunk, index, ending)


def _read_done(data: bytes) -> Done:
    _demand(len(data) == _DONE_HEAD.size)
    return Done(_DONE_HEAD.unpack(data)[2])


_READERS = (_read_ready, _read_broken, _read_line, _read_ended, _read_done)


def _demand(holds: bool) -> None:
    if not holds:
        raise ProtocolError


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _decoded(data: bytes, most: int) -> str:
    """UTF-8 bytes as text of at most `most` characters."""
    if len(data) > _UTF_8 * most or len(text := data.decode()) > most:
        raise ProtocolError
    return text
