"""The messages of a worker are read back as they were sent; anything else is refused, whatever its lengths claim."""

from __future__ import annotations

import contextlib
import socket
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.breaker import Verdict
from scheduler.core.log_limits import MAX_LINE_LENGTH
from scheduler.core.run import Outcome
from scheduler.executors.outcome import MAX_SHOWN
from scheduler.workers.protocol import MAX_MESSAGE, SOCKET_TYPE, PackedEnding, PackedLine
from scheduler.workers.worker_messages import Broken, Done, Ended, Message, ProtocolError, Ready, Sender, received

TAG = b"\x01tag\xff\x00ab"
WORDS = st.integers(0, 2**64 - 1)
INSTANTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
SHOWN = st.none() | TEXTS

ENDINGS = st.builds(
    PackedEnding,
    INSTANTS,
    INSTANTS,
    st.sampled_from([outcome.value for outcome in Outcome]),
    st.sampled_from([verdict.value for verdict in Verdict]),
    SHOWN,
    SHOWN,
    st.integers(0, 2**32 - 1),
)
MESSAGES = st.one_of(
    st.just(Ready()),
    st.builds(Broken, TEXTS),
    st.builds(PackedLine, st.integers(0, 2**63 - 1), INSTANTS, st.text("abc", max_size=8), TEXTS),
    st.builds(Ended, WORDS, st.integers(0, 2**16 - 1), ENDINGS),
    st.builds(Done, WORDS),
)


def sent(message: Message) -> bytes:
    """The datagram of a message."""
    here, there = socket.socketpair(socket.AF_UNIX, SOCKET_TYPE)
    with contextlib.closing(here), contextlib.closing(there):
        sender = Sender(there, TAG)
        match message:
            case Ready():
                sender.ready()
            case Broken(why):
                sender.broken(why)
            case PackedLine():
                sender.line(*message)
            case Ended(chunk, index, ending):
                sender.ended(chunk, index, ending)
            case Done(chunk):
                sender.done(chunk)
        return here.recv(MAX_MESSAGE)


@given(MESSAGES)
def test_a_message_is_read_as_it_was_sent(message: Message) -> None:
    """With all texts and numbers that fit."""
    assert received(sent(message), TAG) == message


@given(st.text(max_size=3 * MAX_LINE_LENGTH), st.text(max_size=3 * MAX_SHOWN))
def test_texts_of_any_length_and_content_are_cut_by_the_sender(line: str, result: str) -> None:
    """So that the daemon takes them."""
    told = received(sent(PackedLine(1, 2, "a long name of a level" * 9, line)), TAG)
    assert isinstance(told, PackedLine)
    assert told.text == line[:MAX_LINE_LENGTH].encode("utf-8", "replace").decode()
    ended = received(sent(Ended(1, 0, PackedEnding(1, 2, "failed", "failure", result, result, 3))), TAG)
    assert isinstance(ended, Ended)
    assert ended.ending.error == ended.ending.result == result[:MAX_SHOWN].encode("utf-8", "replace").decode()


@given(MESSAGES, st.binary(max_size=8))
def test_a_message_without_the_tag_is_refused(message: Message, start: bytes) -> None:
    """A function that writes to the worker's descriptor cannot know it."""
    data = start + sent(message)[8:]
    if not data.startswith(TAG):
        with pytest.raises(ProtocolError):
            received(data, TAG)


@given(MESSAGES, st.data())
def test_a_changed_message_is_refused_or_holds_values_in_their_ranges(message: Message, draw: st.DataObject) -> None:
    """No other error than ProtocolError is raised, even where the tag is right."""
    data = bytearray(sent(message))
    for place in draw.draw(st.lists(st.integers(8, len(data)), max_size=4)):
        data[place : place + draw.draw(st.integers(0, 4))] = draw.draw(st.binary(max_size=12))
    try:
        read = received(bytes(data), TAG)
    except ProtocolError:
        return
    if isinstance(read, Ended):
        assert read.ending.outcome in list(Outcome)
        assert read.ending.verdict in list(Verdict)
        assert all(text is None or len(text) <= MAX_SHOWN for text in (read.ending.error, read.ending.result))
    if isinstance(read, PackedLine):
        assert read.run_id >= 0
        assert len(read.text) <= MAX_LINE_LENGTH


@given(st.binary(max_size=400))
def test_bytes_behind_the_tag_never_decide_how_much_is_allocated(garbage: bytes) -> None:
    """Reading takes no more memory than the datagram has bytes, and a little."""
    tracemalloc.start()
    try:
        with contextlib.suppress(ProtocolError):
            received(TAG + garbage, TAG)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
