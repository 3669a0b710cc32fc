"""What a serving process inherits from its parent process: listening sockets, a pipe to report ready, a lifeline.

Lives here: both ends of that. Never here: what is served. The sockets stay open in the parent, so that one process can
replace another without a connection being refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..workers.process_tree import die_with_parent

#: The environment variable that holds a child's Handover as JSON.
_VARIABLE = "SCHEDULER_HANDOVER"


@dataclass(frozen=True, slots=True)
class Handover:
    """The file descriptors that a child inherits, and how it reports.

    `again`: it replaces a process that has already printed the banner; `as_json`: it prints JSON.
    """

    listener: int
    ready: int
    lifeline: int
    stage_listener: int | None = None
    metrics_listener: int | None = None
    again: bool = False
    as_json: bool = False

    def report_ready(self, facts: Mapping[str, Any]) -> None:
        """Send the facts to the parent, which waits for them."""
        with os.fdopen(self.ready, "w", encoding="utf-8") as pipe, contextlib.suppress(OSError):
            json.dump(facts, pipe)


def received_handover() -> Handover | None:
    """What the parent handed over, None for a process that a user started; from now on this process dies with it."""
    text = os.environ.pop(_VARIABLE, None)
    if text is None:
        return None
    handover = Handover(**json.loads(text))
    descriptors = (handover.ready, handover.lifeline, *_listeners(handover))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    die_with_parent(handover.lifeline)
    return handover


def _listeners(handover: Handover) -> list[int]:
    listeners = (handover.listener, handover.stage_listener, handover.metrics_listener)
    return [listener for listener in listeners if listener is not None]


#: How often a parent that waits for its child calls `should_abort`.
_GIVES_UP_EVERY_S = 0.2
_READ_SIZE = 65_536


class ServerProcess:
    """A process of this program that serves on sockets of its parent, and dies with its parent."""

    def __init__(
        self,
        arguments: Sequence[str],
        listener: socket.socket,
        *,
        stage_listener: socket.socket | None = None,
        metrics_listener: socket.socket | None = None,
        again: bool = False,
        as_json: bool = False,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._ready, ready_far = os.pipe()
        lifeline_far, self._lifeline = os.pipe()
        stage, metrics = (other.fileno() if other else None for other in (stage_listener, metrics_listener))
        handover = Handover(listener.fileno(), ready_far, lifeline_far, stage, metrics, again, as_json)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            pass_fds=[ready_far, lifeline_far, *_listeners(handover)],
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, **(environ or {}), _VARIABLE: json.dumps(asdict(handover))},
        )
        os.close(ready_far)
        os.close(lifeline_far)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(
        self, timeout_s: float, *, should_abort: Callable[[], bool] = lambda: False
    ) -> dict[str, Any] | None:
        """The facts that the child reports when it is ready; None where it is not.

        A child that takes longer than `timeout_s` is killed, and so is one for which `should_abort` becomes true.
        """
        give_up_at = time.monotonic() + timeout_s
        text = b""
        while time.monotonic() < give_up_at and not should_abort():
            if select.select([self._ready], [], [], _GIVES_UP_EVERY_S)[0]:
                piece = os.read(self._ready, _READ_SIZE)
                if not piece:
                    break
                text += piece
        os.close(self._ready)
        try:
            facts: dict[str, Any] = json.loads(text)
        except ValueError:
            self.kill()
            return None
        return facts

    def exit_status(self) -> int | None:
        """The return code, negative for a signal; None while the process runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Send SIGTERM: the first one lets runs in progress end, the second one stops at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float | None = None) -> int:
        """The exit status as a shell reports it; subprocess.TimeoutExpired after `timeout_s`."""
        status = self._process.wait(timeout_s)
        return status if status >= 0 else 128 - status

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the lifeline of a process that has ended."""
        os.close(self._lifeline)
