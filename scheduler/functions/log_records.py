"""Follows every log record of this process, whatever the user's code configures, and finds the level of printed ones.

Lives here: following records in a place that no configuration removes, and keeping our own loggers enabled. Never here:
where records and lines go.

Text on stderr has the level error, so a user's handler that writes to stderr would turn every record into an error. So
while handlers write, the streams that replace stdout and stderr get the level of the record (`level_of_text`), and the
follower passes on a record that no handler has written to them. Of the service's own records these streams take nothing
(`is_shown_otherwise`), since a handler of the service writes them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from ..errors import class_name

#: The environment variable with the lowest level that is logged in workers, unless functions set one themselves.
LEVEL_VARIABLE: Final = "SCHEDULER_LOG_LEVEL"
#: The loggers of the service itself.
_OWN: Final = ("scheduler", "waitress")


class Follower(Protocol):
    """A receiver of log records."""

    def wants(self, record: logging.LogRecord) -> bool:
        """Whether to receive a record; called in the thread that logs."""
        ...

    def emit(self, record: logging.LogRecord) -> None:
        """Receive a record that no handler has written to stdout or stderr."""
        ...


class _Writing(threading.local):
    """The record that a thread logs: its level, and whether a handler has written it to our streams."""

    level = ""
    is_written = False
    #: Whether it is a record of the service, which a handler of its own writes.
    is_own = False
    #: The name of its logger.
    logger = ""
    #: The level of text that is no record, if it is known.
    otherwise = ""


_writing = _Writing()
_followers: list[Follower] = []
#: Handlers that get the service's own records, even if they were removed from the root logger.
_own_handlers: list[logging.Handler] = []


def follow(follower: Follower) -> None:
    """Send records to a follower from now on."""
    _install()
    _followers.append(follower)


def unfollow(follower: Follower) -> None:
    """Undo `follow`."""
    _followers.remove(follower)


def keep_own(handler: logging.Handler, level: str) -> None:
    """Send the service's own records from a level on to a handler, whatever is configured later."""
    _install()
    _own_handlers.append(handler)
    for name in _OWN:
        logging.getLogger(name).setLevel(level.upper())


def lines_of(record: logging.LogRecord, formatter: logging.Formatter) -> list[str]:
    """The formatted lines of a record, or one that says that its own code raises."""
    try:
        return formatter.format(record).splitlines()
    except Exception as error:
        # The repr of a message that is no text is the user's code, too.
        message = repr(record.msg)[:200] if type(record.msg) is str else f"a {class_name(record.msg)}"
        return [f"{message} cannot be formatted: {class_name(error)}"]


def level_of_text(text: str, otherwise: str) -> str:
    """The level of a text that is written to stdout or stderr: that of the record being logged.

    A text of loguru has its record as an attribute.
    """
    if _writing.level:
        _writing.is_written = True
        return _writing.level
    otherwise = _writing.otherwise or otherwise
    if type(text) is str:
        return otherwise
    try:
        number = int(text.record["level"].no)  # type: ignore[attr-defined]
    except Exception:
        return otherwise
    return next(name for least, name in _LEVELS if number >= least)


def is_shown_otherwise() -> bool:
    """Whether the text that is being written is a record that a handler of the service writes as well."""
    return _writing.is_own


def is_of(logger: str) -> bool:
    """Whether the text that is being written is a record of that logger."""
    return _writing.logger == logger


@contextmanager
def printing(level: str) -> Iterator[None]:
    """Within the block, text that this thread writes to stderr has this level, unless it is of a record."""
    before, _writing.otherwise = _writing.otherwise, level
    try:
        yield
    finally:
        _writing.otherwise = before


#: Thresholds, so that they also cover levels unknown to the logging module, such as loguru's SUCCESS.
_LEVELS: Final = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (-(1 << 62), "debug"))


def level_name(record: logging.LogRecord) -> str:
    """The name of a record's level in the log."""
    return next(name for least, name in _LEVELS if record.levelno >= least)


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in _OWN


def _install() -> None:
    # Once: what has replaced a method since then, as Sentry's SDK does, calls ours, so ours must not call that.
    if not _originals:
        _originals.update({name: getattr(logging.Logger, name) for name in _REPLACED})
        for name, replacement in _REPLACED.items():
            setattr(logging.Logger, name, replacement)


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    """Logger.callHandlers, with the followers of the record."""
    wanted = [follower for follower in list(_followers) if follower.wants(record)]
    is_own = bool(_own_handlers) and not wanted and _is_own(self.name)
    before = _writing.level, _writing.is_written, _writing.is_own, _writing.logger
    _writing.level, _writing.is_written, _writing.is_own = level_name(record), False, is_own
    _writing.logger = self.name
    try:
        _originals["callHandlers"](self, record)
        is_written = _writing.is_written
    finally:
        _writing.level, _writing.is_written, _writing.is_own, _writing.logger = before
    if wanted:
        if not is_written:
            for follower in wanted:
                follower.emit(record)
    elif is_own:
        for handler in _own_handlers:
            if record.levelno >= handler.level and not _has(self, handler):
                handler.handle(record)


def _has(logger: logging.Logger | None, handler: logging.Handler) -> bool:
    """Whether the handlers of a logger or of those above it include one."""
    while logger is not None:
        if handler in logger.handlers:
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _handle(self: logging.Logger, record: logging.LogRecord) -> Any:
    """Logger.handle; our own loggers cannot be disabled."""
    if _own_handlers and _is_own(self.name):
        return self.callHandlers(record)
    return _originals["handle"](self, record)


def _is_enabled_for(self: logging.Logger, level: int) -> bool:
    """Logger.isEnabledFor; our own loggers cannot be disabled."""
    if _own_handlers and _is_own(self.name):
        return level >= self.getEffectiveLevel()
    return bool(_originals["isEnabledFor"](self, level))


_REPLACED: Final[dict[str, Callable[..., Any]]] = {
    "callHandlers": _call_handlers,
    "handle": _handle,
    "isEnabledFor": _is_enabled_for,
}
_originals: dict[str, Callable[..., Any]] = {}
