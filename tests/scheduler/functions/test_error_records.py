"""An exception that ends a run is logged once, for the handlers that users install, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context

import pytest

from scheduler.core.run import Outcome
from scheduler.errors import ArgumentError, FunctionTimedOutError, LeanEngineError, UnknownFunctionError
from scheduler.executors import outcome
from scheduler.functions.context import Call, TimerCall, current_call
from scheduler.functions.error_records import OF_RUNS
from tests.scheduler.scripted_service import START


class Records(logging.Handler):
    """Keeps records, as a handler of an error tracker gets them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)


@pytest.fixture
def records() -> Iterator[Records]:
    """A handler of the root logger."""
    handler = Records()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def end_of(error: BaseException) -> outcome.CallOutcome:
    """The end of a run whose function raises `error`."""

    def function() -> None:
        raise error

    def run() -> outcome.CallOutcome:
        current_call.set(Call("f", "r1", timer=TimerCall("nightly", START)))
        return outcome.of_call(function)

    return copy_context().run(run)


def test_a_handler_gets_the_exception_and_its_timer(records: Records) -> None:
    """One record, with the traceback from the user's first frame on."""
    error = ValueError("boom")
    end_of(error)
    (record,) = records.seen
    assert (record.levelname, record.getMessage()) == ("ERROR", "'f' failed [request r1]")
    assert record.exc_info == (ValueError, error, error.__traceback__)
    assert "ValueError: boom" in str(record.exc_text)
    shown = {name: record.__dict__[name] for name in ("function", "request_id", "timer", "attempt", "fire_time")}
    assert shown == {
        "function": "f", "request_id": "r1", "timer": "nightly", "attempt": 1, "fire_time": START.isoformat()
    }  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        LeanEngineError(7, "not you"),
        ArgumentError("no such parameter"),
        FunctionTimedOutError(),
        UnknownFunctionError("f", ()),
        asyncio.CancelledError(),
    ],
)
def test_what_is_no_error_of_the_function_is_not_logged(records: Records, error: BaseException) -> None:
    """A refusal, wrong parameters, the time limit, a missing function, and the cancelled task of an event loop."""
    assert end_of(error).outcome is not Outcome.SUCCEEDED
    assert records.seen == []


def test_nothing_is_printed_without_a_handler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last resort of the logging module stays silent."""
    monkeypatch.setattr(logging.getLogger(OF_RUNS), "propagate", False)
    end_of(ValueError("boom"))
    assert capsys.readouterr() == ("", "")


def test_a_configuration_that_disables_other_loggers_does_not_silence_it(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dictConfig disables those that it does not name, unless told otherwise."""
    monkeypatch.setattr(logging.getLogger(OF_RUNS), "disabled", True)
    end_of(ValueError("boom"))
    assert len(records.seen) == 1


def test_a_level_and_a_filter_of_the_user_silence_it(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are set on this logger."""
    logger = logging.getLogger(OF_RUNS)
    monkeypatch.setattr(logger, "filters", [lambda _: False])
    end_of(ValueError("boom"))
    monkeypatch.setattr(logger, "filters", [])
    logger.setLevel(logging.CRITICAL)
    try:
        end_of(ValueError("boom"))
    finally:
        logger.setLevel(logging.NOTSET)
    assert records.seen == []


def _raise(error: BaseException) -> Callable[[logging.LogRecord], None]:
    def emit(_: logging.LogRecord) -> None:
        raise error

    return emit


@pytest.mark.parametrize("error", [OSError("no disk"), SystemExit(1)])
def test_a_handler_that_raises_does_not_change_the_end(
    records: Records, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The run has the error of its function."""
    monkeypatch.setattr(records, "emit", _raise(error))
    assert end_of(ValueError("boom")).error == "ValueError: boom"


def test_a_factory_of_records_may_set_the_request_id(records: Records) -> None:
    """It is a common name of an attribute, and the logging module refuses to set one twice."""
    before = logging.getLogRecordFactory()

    def factory(*arguments: object, **options: object) -> logging.LogRecord:
        record = before(*arguments, **options)
        record.request_id = "mine"
        return record

    logging.setLogRecordFactory(factory)
    try:
        end_of(ValueError("boom"))
    finally:
        logging.setLogRecordFactory(before)
    assert [record.__dict__["request_id"] for record in records.seen] == ["r1"]
