"""Log records are followed whatever is configured, and the service's own loggers are never silenced."""

from __future__ import annotations

import io
import logging
import logging.config
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from scheduler.functions import log_records


class Seen:
    """A follower of the records of one logger."""

    def __init__(self) -> None:
        self.emitted: list[str] = []

    def wants(self, record: logging.LogRecord) -> bool:
        return record.name == "shop"

    def emit(self, record: logging.LogRecord) -> None:
        self.emitted.append(f"{log_records.level_name(record)} {record.getMessage()}")


class Stream(io.StringIO):
    """Stands for stderr, as the streams of workers and of calls do."""

    def write(self, text: str) -> int:
        return super().write(f"{log_records.level_of_text(text, 'error')} {text}")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The root logger, its level, and what is disabled are as before, after each test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.disable(logging.NOTSET)
    root.handlers, root.level = handlers, level
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture
def seen() -> Iterator[Seen]:
    """A follower, until the end of the test."""
    follower = Seen()
    log_records.follow(follower)
    yield follower
    log_records.unfollow(follower)


def test_what_no_handler_has_written_is_passed_on(seen: Seen) -> None:
    """Each record once: either a handler writes it, with its level, or the follower gets it."""
    shop, stream = logging.getLogger("shop"), Stream()
    shop.setLevel("DEBUG")
    shop.warning("first")
    handler = logging.StreamHandler(stream)
    shop.addHandler(handler)
    shop.info("second")
    shop.removeHandler(handler)
    logging.getLogger("other").warning("third")
    stream.write("printed")
    assert seen.emitted == ["warning first"]
    assert stream.getvalue() == "info second\nerror printed"


@pytest.mark.parametrize(
    ("number", "level"), [(5, "debug"), (20, "info"), (25, "info"), (30, "warning"), (60, "critical")]
)
def test_a_text_of_loguru_has_the_level_of_its_record(number: int, level: str) -> None:
    """Its texts carry the record; a level that the logging module has not is the next one below."""

    message = type("Message", (str,), {"record": {"level": SimpleNamespace(no=number)}})
    assert log_records.level_of_text(message("done"), "error") == level
    assert log_records.level_of_text(type("Odd", (str,), {})("done"), "error") == "error"


def test_the_service_is_not_silenced() -> None:
    """By a configuration that disables loggers and removes handlers, by levels, or by logging.disable."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    before = logging.getLogger("scheduler").level
    log_records.keep_own(handler, "info")
    own = logging.getLogger("scheduler.tests")
    try:
        logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})
        logging.disable(logging.CRITICAL)
        own.info("still here")
        logging.getLogger("other").critical("not")
    finally:
        log_records._own_handlers.remove(handler)
        logging.getLogger("scheduler").setLevel(before)
    assert stream.getvalue() == "still here\n"


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "arguments", "lines"),
    [
        ("two\nlines of %s", ("text",), ["two", "lines of text"]),
        ("%d", ("x",), ["'%d' cannot be formatted: TypeError"]),
        (Hostile(), (), ["a Hostile cannot be formatted: RuntimeError"]),
    ],
)
def test_a_record_whose_own_code_raises_is_a_line(message: object, arguments: tuple[str], lines: list[str]) -> None:
    """Neither its message nor its arguments have to have a text."""
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, message, arguments, None)
    assert log_records.lines_of(record, logging.Formatter()) == lines


def test_a_library_may_replace_the_same_method(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentry's SDK does, while functions load; a follower that comes after that gets each record once."""
    ours = logging.Logger.callHandlers
    reported: list[str] = []

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        ours(self, record)
        reported.append(record.getMessage())

    monkeypatch.setattr(logging.Logger, "callHandlers", call_handlers)
    later = Seen()
    log_records.follow(later)
    try:
        logging.getLogger("shop").error("broken")
    finally:
        log_records.unfollow(later)
    assert (seen.emitted, later.emitted, reported) == (["error broken"], ["error broken"], ["broken"])
