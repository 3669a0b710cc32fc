"""Linux descriptors that wake the daemon: a timer that also notices a set clock, and a watch on files.

They are timerfd_create(2) and inotify(7). Creating one raises OSError where they are missing: on macOS, in a sandbox
that forbids them, when a limit is reached. Import this module late: ctypes takes 4 ms and a megabyte.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import time
from collections.abc import Iterable
from pathlib import Path

_ABSOLUTE, _CANCEL_ON_SET = 1, 2  # TFD_TIMER_…
_CHANGED = 0x2 | 0x4 | 0x400 | 0x800  # IN_MODIFY, IN_ATTRIB, IN_DELETE_SELF, IN_MOVE_SELF
_ONCE = 0x8000_0000  # IN_ONESHOT
#: More bytes than the events of a few files, one of each.
_ALL_EVENTS = 4096


class Alarm:
    """Becomes readable at its time, and when the system clock is set, as it is after a suspension."""

    def __init__(self) -> None:
        self._libc = _libc("timerfd_create", "timerfd_settime", "clock_gettime")
        self._fileno = _checked(self._libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
        #: struct itimerspec: the interval, always 0, and the instant; seconds and nanoseconds of each.
        self._spec = (ctypes.c_long * 4)()
        self._now = (ctypes.c_long * 2)()
        try:
            # A system that emulates Linux may lack timers of this kind.
            self.set(0.0)
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return self._fileno

    def set(self, seconds: float) -> None:
        """Become readable after `seconds`, or when the clock is set, or at once if it was set since the last call."""
        # The kernel's clock, not Python's, which a test may have replaced.
        _checked(self._libc.clock_gettime(time.CLOCK_REALTIME, self._now))
        whole_s, ns = divmod(self._now[1] + int(seconds * 1e9), 1_000_000_000)
        self._spec[2], self._spec[3] = self._now[0] + whole_s, ns
        try:
            flags = _ABSOLUTE | _CANCEL_ON_SET
            _checked(self._libc.timerfd_settime(self._fileno, flags, self._spec, None))
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            # The clock was set since the last call, so the next sleep must end at once.
            self.set(0.0)

    def close(self) -> None:
        os.close(self._fileno)


class FileWatch:
    """Becomes readable when one of the watched files is written, touched, moved or deleted."""

    def __init__(self) -> None:
        self._libc = _libc("inotify_init1", "inotify_add_watch")
        self._fileno = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        return self._fileno

    def watch(self, files: Iterable[Path]) -> None:
        """Watch files until each has changed once, so that further writes cost their writer nothing."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fileno, _ALL_EVENTS)
        for file in files:
            _checked(self._libc.inotify_add_watch(self._fileno, os.fsencode(file), _CHANGED | _ONCE))

    def close(self) -> None:
        os.close(self._fileno)


def _libc(*names: str) -> ctypes.CDLL:
    """The C library; OSError where it lacks one of these functions."""
    library = ctypes.CDLL(None, use_errno=True)
    if not all(hasattr(library, name) for name in names):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return library


def _checked(result: int) -> int:
    """The result of a function of the C library; OSError where that reports a failure."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
