"""ChildProcess: one child of the supervisor: its start, its messages, its pings, and its end.

Lives here: the supervisor's end of handover.py. Never here: when a process is started or replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..own_programs import command
from .handover import VARIABLE, Handover
from .raw_pipes import RawPipes

#: How often to ping a process.
PING_EVERY_S = 1.0
#: How long a process may be unreachable that has not answered before: it may be ending.
CUT_S = 1.0
#: How long to wait for a killed process.
KILL_TIMEOUT_S = 5.0
#: The most of a pause that counts as silence, because the supervisor itself may have been suspended.
_LONGEST_LOOK_S = 1.5
_READ_SIZE = 65_536
#: The longest message, and the most bytes that wait to be sent.
_MOST_BYTES = 16_000_000
#: The messages that are tables.
_REPORTS = ("loaded", "ready")
#: The processes whose stdout and stderr are pipes, so that what functions write past sys.stdout becomes lines of calls.
_WITH_PIPES = ("web", "stage", "service")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ChildProcess:
    """A process that serves on sockets of the supervisor, and dies with it; `role` is one of program.py.

    OSError if the machine cannot start a process, for example without memory, or if the folder `cwd` is gone.
    """

    #: Whether it is unreachable: its end of the channel is closed, or it sent an invalid message.
    is_cut = False
    #: Its reports: the functions are loaded, it is ready, it cannot start.
    loaded: dict[str, Any] | None = None
    ready: dict[str, Any] | None = None
    refusal: str | None = None
    ready_at = 0.0
    #: Whether it was sent the order to go on with its start.
    may_start = False
    #: Whether it was sent the order to fire timers.
    may_fire = False
    #: The number of orders to stop that it was sent: the second one means at once.
    stop_orders = 0
    #: How long its answer to a ping has been missing.
    silent_s = 0.0
    _ping_at = 0.0
    _awaits_answer = False
    _status: int | None = None
    _killed_at: float | None = None
    _text = _unsent = b""

    def __init__(
        self,
        role: str,
        options: Mapping[str, Any],
        *,
        listener: socket.socket | None = None,
        metrics_listener: socket.socket | None = None,
        declares: bool = True,
        counts_calls: bool = False,
        sources: int | None = None,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.role = role
        self._channel, far = socket.socketpair()
        lifeline_far, self._lifeline = os.pipe()
        self._raw = RawPipes.made() if role in _WITH_PIPES else None
        handover = Handover(
            channel=far.fileno(),
            lifeline=lifeline_far,
            options=options,
            listener=listener.fileno() if listener else None,
            metrics_listener=metrics_listener.fileno() if metrics_listener else None,
            declares=declares,
            counts_calls=counts_calls,
            sources=sources,
            terminal=self._raw.terminal if self._raw else None,
            raw=self._raw.near if self._raw else None,
        )
        try:
            self._process = self._start(handover, cwd, environ or {})
        finally:
            far.close()
            os.close(lifeline_far)
        self._channel.setblocking(False)
        self._messages: list[dict[str, Any]] = []
        #: When it began the step for which the supervisor waits.
        self.began_at = time.monotonic()

    def _start(self, handover: Handover, cwd: Path | None, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start the program; if that fails, close everything that is open for it."""
        stdout, stderr = self._raw.far if self._raw else (None, None)
        try:
            return subprocess.Popen(
                command("scheduler.up.program", self.role),
                stdout=stdout,
                stderr=stderr,
                pass_fds=handover.descriptors,
                start_new_session=True,
                cwd=cwd,
                env={**os.environ, **environ, VARIABLE: handover.as_text()},
            )
        except OSError:
            self._channel.close()
            os.close(self._lifeline)
            if self._raw:
                self._raw.close()
            raise
        finally:
            if self._raw:
                self._raw.close_far()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """The channel, readable when there is a message."""
        return self._channel.fileno()

    # Messages

    def send(self, **message: Any) -> None:
        """Send a message without blocking; the next `look` sends the rest."""
        self._unsent += json.dumps(message).encode() + b"\n"
        self._send_rest()

    def _send_rest(self) -> None:
        with contextlib.suppress(OSError):
            while self._unsent:
                self._unsent = self._unsent[self._channel.send(self._unsent, socket.MSG_NOSIGNAL) :]
        if len(self._unsent) > _MOST_BYTES:  # a process that does not read hangs, and will be replaced
            self._unsent = b""

    def receive(self) -> None:
        """Read its messages. A function may have written to the channel, or closed it, by accident."""
        while not self.is_cut:
            try:
                piece = self._channel.recv(_READ_SIZE)
            except OSError:
                return
            *lines, self._text = (self._text + piece).split(b"\n")
            try:
                for line in lines:
                    self._take(json.loads(line))
            except (ValueError, TypeError, RecursionError):
                self.is_cut = True
            self.is_cut = self.is_cut or not piece or len(self._text) > _MOST_BYTES

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict) or not all(isinstance(message.get(name, {}), dict) for name in _REPORTS):
            raise TypeError("not a valid message")
        if "pong" in message:
            self.silent_s, self._awaits_answer = 0.0, False
        if "loaded" in message:
            self.loaded = message["loaded"]
        if "ready" in message:
            self.ready, self.ready_at = message["ready"], time.monotonic()
        if "refusal" in message:
            self.refusal = str(message["refusal"])
        self._messages.append(message)

    def taken_messages(self) -> list[dict[str, Any]]:
        """Its messages since the last call."""
        self.receive()
        taken, self._messages = self._messages, []
        return taken

    def look(self, now: float, elapsed_s: float) -> None:
        """Ping it once a second, and add up how long an answer has been missing."""
        self._send_rest()
        if self._awaits_answer or self.is_cut:
            self.silent_s += min(elapsed_s, _LONGEST_LOOK_S)
        elif now >= self._ping_at:
            self._ping_at, self._awaits_answer = now + PING_EVERY_S, True
            self.send(ping=0)

    def is_silent(self, bound_s: float) -> bool:
        """Whether it has not answered for longer than this; one that is unreachable will not."""
        return self.silent_s > (min(bound_s, CUT_S) if self.is_cut else bound_s)

    @property
    def memory_bytes(self) -> int:
        """Its resident memory; 0 if unknown."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        return 0

    # The end

    def exit_status(self) -> int | None:
        """The return code, negative for a signal; None while the process runs.

        Unless it ended in order, the other processes of its group are killed too.
        """
        if self._status is None and self._has_ended():
            # Before reaping it, so that its pid still is the id of its group.
            if self.is_killed or not self.stop_orders:
                self._signal_group()
            self._status = self._process.poll()
            self.receive()
            self._channel.close()
            os.close(self._lifeline)
            if self._raw:
                self._raw.print_rest()
        return self._status

    def _has_ended(self) -> bool:
        if self._process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def order_to_stop(self, how: str) -> None:
        """Order it to stop: `stop` or `replaced` at most once, then `at once`."""
        wanted = 2 if how == "at once" else 1
        if self.stop_orders < wanted:
            self.stop_orders = wanted
            self.send(stop=how)

    def kill(self) -> None:
        """Send SIGKILL to it and its group, once; the end shows in `exit_status`."""
        if self._status is None and self._killed_at is None:
            self._killed_at = time.monotonic()
            self._signal_group()

    @property
    def is_killed(self) -> bool:
        return self._killed_at is not None

    def cannot_be_killed(self, now: float) -> bool:
        """Whether the kernel has not ended it in time, for example because a disk hangs; it runs no more code."""
        return self._killed_at is not None and self._status is None and now - self._killed_at > KILL_TIMEOUT_S

    def _signal_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
