"""Every log record of this process, whatever the user's code has configured; and the level of what its handlers print.

Lives here: following records where no configuration removes the follower, and our own loggers, which none silences.
Never here: where records and lines go.

A handler of the user's that writes to stderr makes an error of everything that is logged. So while handlers write, the
level of the record is known to the streams that stand for stdout and stderr (`level_of_text`), and a record that no
handler has written to them is passed on by its follower.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

#: The variable with the lowest level that functions log in workers, unless they set one themselves.
LEVEL_VARIABLE: Final = "SCHEDULER_LOG_LEVEL"
#: The loggers of the service itself.
_OWN: Final = ("scheduler", "waitress")


class Follower(Protocol):
    """Somebody who wants records."""

    def wants(self, record: logging.LogRecord) -> bool:
        """Whether a record is one of his; called in the thread that logs."""
        ...

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record that no handler has written to stdout or stderr."""
        ...


class _Writing(threading.local):
    """What the calling thread logs: the level of the record, and whether a handler has written it to our streams."""

    level = ""
    is_written = False


_writing = _Writing()
_followers: list[Follower] = []
#: Handlers that get what the service itself logs, although they may have been removed from the root logger.
_own_handlers: list[logging.Handler] = []


def follow(follower: Follower) -> None:
    """Have a follower get records from now on."""
    _install()
    _followers.append(follower)


def unfollow(follower: Follower) -> None:
    """Undo `follow`."""
    _followers.remove(follower)


def keep_own(handler: logging.Handler, level: str) -> None:
    """Have a handler get what the service itself logs from a level on, whatever is configured later."""
    _install()
    _own_handlers.append(handler)
    for name in _OWN:
        logging.getLogger(name).setLevel(level.upper())


def level_of_text(text: str, otherwise: str) -> str:
    """The level of a text that is written to stdout or stderr: that of the record that is being logged.

    loguru's texts carry the record with them.
    """
    if _writing.level:
        _writing.is_written = True
        return _writing.level
    if type(text) is str:
        return otherwise
    try:
        number = int(text.record["level"].no)  # type: ignore[attr-defined]
    except Exception:
        return otherwise
    return next(name for least, name in _LEVELS if number >= least)


#: Also for levels that are none of the logging module, such as loguru's SUCCESS.
_LEVELS: Final = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (-(1 << 62), "debug"))


def level_name(record: logging.LogRecord) -> str:
    """The level of a record as the log has it."""
    return next(name for least, name in _LEVELS if record.levelno >= least)


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in _OWN


def _install() -> None:
    logger: Any = logging.Logger
    if logger.callHandlers is not _call_handlers:
        _originals.update({name: getattr(logger, name) for name in _REPLACED})
        for name, replacement in _REPLACED.items():
            setattr(logger, name, replacement)


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    """Logger.callHandlers, with the followers of the record."""
    wanted = [follower for follower in list(_followers) if follower.wants(record)]
    before = _writing.level, _writing.is_written
    _writing.level, _writing.is_written = (level_name(record) if wanted else ""), False
    try:
        _originals["callHandlers"](self, record)
        is_written = _writing.is_written
    finally:
        _writing.level, _writing.is_written = before
    if wanted:
        if not is_written:
            for follower in wanted:
                follower.emit(record)
    elif _is_own(self.name):
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
