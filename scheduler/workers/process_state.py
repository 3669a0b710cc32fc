"""ProcessState: restores the global state of the process after a run: folder, variables, signal handlers, limits.

Otherwise the next run, of another timer, would begin in another folder, with another time zone, or be hit by an alarm.
The state is that of when the functions were loaded. `restore`, which takes a microsecond, is called after each run;
`restore_rest` after each chunk, which takes milliseconds. Changes within modules and objects are not undone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from . import niceness
from .resource_limits import ResourceLimits
from .shared_names import SharedNames

#: signal.pthread_sigmask without the conversion into enumerations.
_sigmask: Final[Callable[..., Any]] = import_module("_signal").pthread_sigmask
#: Pairs of functions: one reads a setting, the other sets it.
_SETTINGS: Final[tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...]] = (
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.getswitchinterval, sys.setswitchinterval),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (gc.isenabled, lambda is_enabled: gc.enable() if is_enabled else gc.disable()),
    (gc.get_threshold, lambda thresholds: gc.set_threshold(*thresholds)),
    (gc.get_debug, gc.set_debug),
    (lambda: _sigmask(signal.SIG_BLOCK, ()), lambda mask: _sigmask(signal.SIG_SETMASK, mask)),
)
#: Only root can set these back, and not in every container.
_RIGHTS: Final[tuple[Callable[[], object], ...]] = tuple(
    getattr(os, name) for name in ("getresuid", "getresgid", "getgroups") if hasattr(os, name)
)
_SIGNALS: Final = (
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGPIPE,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
#: signal.getsignal without the conversion into an enumeration, which takes ten times as long.
_handler_of: Final = import_module("_signal").getsignal
_SIGNAL_NUMBERS: Final = tuple(map(int, _SIGNALS))
_INTERVAL_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class ProcessState:
    """The state of this process now, to which `restore` returns."""

    def __init__(self) -> None:
        self._path = os.getcwd()  # noqa: PTH109 - a text is all that is needed
        self._folder = _opened(self._path)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._environ = os.environ
        self._variables = dict(_data(os.environ))
        self._zone_names = time.tzname
        self._stdin, self._stdout, self._stderr = sys.stdin, sys.stdout, sys.stderr
        self._trace, self._profile = sys.gettrace(), sys.getprofile()
        self._names = SharedNames()
        self._callbacks = list(gc.callbacks)
        self._rights = [read() for read in _RIGHTS]
        self._processors = _processors()
        self._settings = tuple((read, put, read()) for read, put in _SETTINGS)
        self._handlers = [_handler_of(number) for number in _SIGNAL_NUMBERS]
        #: Timers that the functions' own module has set are kept.
        self._timers = tuple(timer for timer in _INTERVAL_TIMERS if signal.getitimer(timer) == (0.0, 0.0))
        self._limits = ResourceLimits()

    def restore(self) -> None:
        """Put back hooks of the interpreter, folder, umask, variables, time zone and streams."""
        if sys.getprofile() is not self._profile or sys.gettrace() is not self._trace:
            # First, because they slow down everything else.
            sys.setprofile(self._profile)
            sys.settrace(self._trace)
        self._restore_folder()
        os.umask(self._umask)
        if os.environ is not self._environ or _data(self._environ) != self._variables:
            self._restore_variables()
        if time.tzname is not self._zone_names:
            time.tzset()
            self._zone_names = time.tzname
        sys.stdin, sys.stdout, sys.stderr = self._stdin, self._stdout, self._stderr

    def restore_rest(self) -> bool:
        """Put back names, settings, alarms, signal handlers and limits; returns whether all is as it was."""
        self._names.restore()
        for read, put, value in self._settings:
            if read() != value:
                put(value)
        for timer in self._timers:
            signal.setitimer(timer, 0)
        if [_handler_of(number) for number in _SIGNAL_NUMBERS] != self._handlers:
            self._restore_handlers()
        if len(gc.callbacks) != len(self._callbacks):
            gc.callbacks[:] = self._callbacks
        return self._restores_rights()

    def _restores_rights(self) -> bool:
        """Put back limits and processors; False if one of them, the user or the priority cannot be put back."""
        is_same = [read() for read in _RIGHTS] == self._rights
        # One that was lowered for good can only be raised again by root.
        is_same = self._limits.restore() and is_same
        if _processors() != self._processors:
            try:
                os.sched_setaffinity(0, self._processors)
            except OSError:
                is_same = False
        return is_same and niceness.is_ours()

    def _restore_folder(self) -> None:
        try:
            os.fchdir(self._folder)
        except OSError:
            # A function may have closed the descriptor, or replaced it.
            with contextlib.suppress(OSError):
                os.chdir(self._path)
            self._folder = _opened(self._path)

    def _restore_variables(self) -> None:
        os.environ = environ = self._environ
        decode = os.fsdecode
        had_zone = _data(environ).get(b"TZ")
        for name in _data(environ).keys() - self._variables.keys():
            del environ[decode(name)]
        for name, value in self._variables.items():
            if _data(environ).get(name) != value:
                environ[decode(name)] = decode(value)
        if had_zone != self._variables.get(b"TZ"):
            time.tzset()
            self._zone_names = time.tzname

    def _restore_handlers(self) -> None:
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if handler is not None and _handler_of(number) != handler:
                signal.signal(number, handler)


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def _processors() -> set[int]:
    """The processors that this process may use; empty if they are unknown."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _data(environ: os._Environ[str]) -> dict[bytes, bytes]:
    """The dictionary behind `os.environ`, which compares much faster."""
    return environ._data  # type: ignore[attr-defined, no-any-return]
