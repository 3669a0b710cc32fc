"""What Linux tells by descriptors: an instant has come or the system clock was set, a file was changed.

These are timerfd_create(2) and inotify(7). Where there is no such thing (macOS, a sandbox that forbids it, too many
users of it), making one raises OSError. Import this where it is needed: ctypes takes 4 ms and a megabyte.
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
#: More than the events of a few files that are told of once each.
_ALL_EVENTS = 4096


class Alarm:
    """Turns readable when its time has come, and when the system clock is set, as a resume from suspension does."""

    def __init__(self) -> None:
        self._libc = _libc("timerfd_create", "timerfd_settime", "clock_gettime")
        self._fileno = _checked(self._libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
        #: struct itimerspec: the interval, of which there is none, and the instant; seconds and nanoseconds of each.
        self._spec = (ctypes.c_long * 4)()
        self._now = (ctypes.c_long * 2)()
        try:
            # Something that only looks like Linux may know timers, but not this kind.
            self.set(0.0)
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return self._fileno

    def set(self, seconds: float) -> None:
        """Be silent for that long, unless the clock is set, or was set since this was called last."""
        # Not by Python's clock, which a test may have stopped: the alarm goes by the kernel's.
        _checked(self._libc.clock_gettime(time.CLOCK_REALTIME, self._now))
        whole_s, ns = divmod(self._now[1] + int(seconds * 1e9), 1_000_000_000)
        self._spec[2], self._spec[3] = self._now[0] + whole_s, ns
        try:
            flags = _ABSOLUTE | _CANCEL_ON_SET
            _checked(self._libc.timerfd_settime(self._fileno, flags, self._spec, None))
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            # The clock was set meanwhile; whoever is about to sleep should look at it.
            self.set(0.0)

    def close(self) -> None:
        os.close(self._fileno)


class FileWatch:
    """Turns readable when one of the files that it was told of is written, touched, moved or deleted."""

    def __init__(self) -> None:
        self._libc = _libc("inotify_init1", "inotify_add_watch")
        self._fileno = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        return self._fileno

    def watch(self, files: Iterable[Path]) -> None:
        """Be silent until a file changes; it is told of once, so that whoever writes much does not pay for it."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fileno, _ALL_EVENTS)
        for file in files:
            _checked(self._libc.inotify_add_watch(self._fileno, os.fsencode(file), _CHANGED | _ONCE))

    def close(self) -> None:
        os.close(self._fileno)


def _libc(*names: str) -> ctypes.CDLL:
    """The C library, which must have these functions."""
    library = ctypes.CDLL(None, use_errno=True)
    if not all(hasattr(library, name) for name in names):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return library


def _checked(result: int) -> int:
    """What a function of the C library returned, unless that says that it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
