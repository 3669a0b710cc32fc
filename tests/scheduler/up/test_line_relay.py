"""The lines of calls between the processes that answer HTTP and the one that has the store."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.core.log_line import LogLine
from scheduler.core.timestamps import stamp
from scheduler.engine.capture import CallOutput, CapturedLine
from scheduler.functions.context import Call
from scheduler.up.call_lines import LineBatch, LineCollector
from scheduler.up.line_relay import MAX_UNWRITTEN, LineRelay
from tests.waiting import PATIENCE_S, slowed


class Seen:
    """A reporter, and the process that has the store."""

    def __init__(self) -> None:
        self.reported: list[LogLine] = []
        self.sent: list[dict[str, Any]] = []

    def line(self, line: LogLine) -> None:
        self.reported.append(line)

    def run_ended(self, *_: object) -> None:
        raise AssertionError

    def send(self, **message: Any) -> None:
        self.sent.append(message)

    @property
    def stored(self) -> list[str]:
        return [values[2] for message in self.sent for values in message["lines"]]


def message(*texts: str, function: str = "hello", at: int | None = None) -> dict[str, Any]:
    now = stamp(datetime.now(UTC)) if at is None else at
    return {"lines": [[now, "info", text, function, "r1"] for text in texts], "dropped": {}}


def test_lines_wait_for_a_process_that_has_the_store() -> None:
    """What one that has ended did not confirm goes to the next; what it confirmed does not."""
    seen, first, second = Seen(), Seen(), Seen()
    relay = LineRelay(seen)
    relay.take(message("one"), "production")
    relay.pass_on(None)
    relay.pass_on(first)
    relay.take(message("two"), "stage")
    relay.pass_on(first)
    assert first.stored == ["one", "two"]
    relay.stored(first.sent[0]["number"])
    relay.pass_on(first)
    assert first.stored == ["one", "two"]
    relay.pass_on(second)
    assert second.stored == ["two"]
    assert [(line.text, line.environment) for line in seen.reported] == [("one", "production"), ("two", "stage")]


def test_lines_that_come_one_by_one_are_sent_together() -> None:
    """But not with a message that a process has got already: what it confirms is all that it got."""
    seen, first, second = Seen(), Seen(), Seen()
    relay = LineRelay(seen)
    for text in ("one", "two", "three"):
        relay.take(message(text), "production")
    relay.pass_on(first)
    assert [len(sent["lines"]) for sent in first.sent] == [3]
    relay.pass_on(second)
    relay.take(message("four"), "production")
    relay.pass_on(second)
    assert [len(sent["lines"]) for sent in second.sent] == [3, 1]
    assert second.stored == ["one", "two", "three", "four"]


def test_all_processes_share_the_lines_of_a_minute() -> None:
    """And no function can use them up: another one's errors are still seen."""
    seen = Seen()
    relay = LineRelay(seen)
    for _ in range(4):
        for _ in range(10):
            relay.take(message(*["noise"] * 50, function="loud"), "production")
    relay.take(message(*["Traceback"] * 20, function="quiet"), "production")
    relay.take(message(*["noise"] * 50, function="loud"), "production")
    relay.report_dropped(at_the_end=True)
    texts = [line.text for line in seen.reported]
    assert (texts.count("noise"), texts.count("Traceback")) == (500, 20)
    assert texts[-1] == "1550 lines were dropped, of loud, since calls may print 600 lines a minute"


def test_what_waits_is_bounded_and_the_loss_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Of a store that answers no more, the oldest lines are given up."""
    relay, store = LineRelay(Seen()), Seen()
    for n in range(MAX_UNWRITTEN // 50 + 2):
        relay._limit.__init__()  # type: ignore[misc]
        relay.take(message(*[str(n)] * 50), "production")
    relay.pass_on(store)
    assert store.stored[0] == "2"
    assert len(store.sent) < 20
    relay.stored(store.sent[0]["number"])
    assert "100 lines that calls printed were not stored" in caplog.text


@pytest.mark.parametrize(
    "forged",
    [
        {"lines": [["now", "info", "x", "f", "r"]], "dropped": {}},
        {"lines": [[0, "info", None, "f", "r"]], "dropped": {}},
        {"lines": [[0, "info", "x"]], "dropped": {}},
        {"lines": 5, "dropped": {}},
        {"lines": [], "dropped": {"f": "many"}},
        {"lines": [], "dropped": 7},
        {"lines": [True]},
    ],
)
def test_a_message_that_a_function_has_forged_is_refused(forged: dict[str, Any]) -> None:
    """Nothing of it is shown or stored."""
    seen = Seen()
    relay = LineRelay(seen)
    with pytest.raises((TypeError, ValueError, KeyError)):
        relay.take(forged, "production")
    relay.report_dropped(at_the_end=True)
    relay.pass_on(seen)
    assert (seen.reported, seen.sent) == ([], [])


def test_a_forged_line_is_bounded() -> None:
    """It is no older than minutes, not of the future, has a level that exists, and is cut."""
    seen = Seen()
    relay = LineRelay(seen)
    relay.take({"lines": [[-(10**30), "loud", "x" * 9000, "f" * 900, "r" * 900]], "dropped": {}}, "stage")
    relay.take(message("later", at=10**30), "stage")
    old, new = seen.reported
    assert (old.level, len(old.text), len(old.function), len(old.request_id)) == ("info", 4096, 200, 200)
    assert 0 < (datetime.now(UTC) - old.at).total_seconds() < 700
    assert new.at <= datetime.now(UTC)


def captured(text: str) -> CapturedLine:
    return CapturedLine(datetime.now(UTC), "info", text, "hello", "r1")


def test_a_line_is_passed_on_by_the_thread_that_prints_it() -> None:
    """Its function may end the process next."""
    passed_on: list[tuple[str, threading.Thread]] = []

    def at_once(batch: LineBatch) -> bool:
        passed_on.extend((line.text, threading.current_thread()) for line in batch.lines)
        return True

    collector = LineCollector(lambda _: None, at_once)
    for text in ("one", "two"):
        collector(captured(text))
    assert passed_on == [("one", threading.current_thread()), ("two", threading.current_thread())]
    collector.close()


def test_lines_for_which_there_is_no_room_follow_in_their_order() -> None:
    """No call waits for that: a thread passes them on."""
    has_room, passed_on = threading.Event(), list[str]()

    def take(batch: LineBatch) -> bool:
        passed_on.extend(line.text for line in batch.lines)
        return True

    def deliver(batch: LineBatch) -> None:
        has_room.wait(PATIENCE_S)
        take(batch)

    collector = LineCollector(deliver, lambda batch: has_room.is_set() and take(batch))
    before = time.monotonic()
    for number in range(100):
        collector(captured(str(number)))
    assert time.monotonic() - before < slowed(5.0)
    has_room.set()
    for number in range(100, 200):
        collector(captured(str(number)))
    collector.close()
    assert passed_on == [str(number) for number in range(200)]


def test_what_garbage_prints_while_a_line_is_passed_on_keeps_nobody_waiting() -> None:
    """A __del__ of the user's may run in any code, also in that which takes lines."""
    passed_on: list[str] = []

    def at_once(batch: LineBatch) -> bool:
        passed_on.extend(line.text for line in batch.lines)
        if batch.lines[0].text == "first":
            output.write("info", "from __del__\n")
        return True

    collector = LineCollector(at_once, at_once)
    output = CallOutput(Call("hello", "r1"), collector)
    writer = threading.Thread(target=output.write, args=("info", "first\n"), daemon=True)
    writer.start()
    writer.join(PATIENCE_S)
    assert not writer.is_alive()
    collector.close()
    assert passed_on == ["first", "from __del__"]
