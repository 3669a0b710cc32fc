"""What a serving process gets from the process that started it: listening sockets, a pipe to say ready, a lifeline.

Lives here: both ends of that. Never here: what is served. The sockets stay open in the parent, so that a process can
take over from another one without a connection being refused.
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

_VARIABLE = "SCHEDULER_HANDOVER"
#: How often a wait for a child asks whether it is still wanted.
_LOOK_EVERY_S = 0.2
_READ_SIZE = 65_536


@dataclass(frozen=True, slots=True)
class Handover:
    """Descriptors that a child was given; `again` says that it takes over from one that has introduced itself, and
    `as_json` how it speaks.
    """

    listener: int
    ready: int
    lifeline: int
    stage_listener: int | None = None
    metrics_listener: int | None = None
    again: bool = False
    as_json: bool = False

    def say_ready(self, facts: Mapping[str, Any]) -> None:
        """Tell the parent that all is up."""
        with os.fdopen(self.ready, "w", encoding="utf-8") as pipe, contextlib.suppress(OSError):
            json.dump(facts, pipe)


def taken() -> Handover | None:
    """What this process was given, None for one that was started by a person; ends with its parent from now on."""
    text = os.environ.pop(_VARIABLE, None)
    if text is None:
        return None
    given = Handover(**json.loads(text))
    for descriptor in (given.listener, given.ready, given.lifeline, given.stage_listener, given.metrics_listener):
        if descriptor is not None:
            os.set_inheritable(descriptor, False)
    die_with_parent(given.lifeline)
    return given


class Child:
    """A process of this program that serves on sockets of its parent; it dies with its parent."""

    def __init__(
        self,
        words: Sequence[str],
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
        given = Handover(listener.fileno(), ready_far, lifeline_far, stage, metrics, again, as_json)
        passed = [given.listener, ready_far, lifeline_far, *(other for other in (stage, metrics) if other is not None)]
        self._process = subprocess.Popen(
            [sys.executable, *words],
            pass_fds=passed,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, **(environ or {}), _VARIABLE: json.dumps(asdict(given))},
        )
        os.close(ready_far)
        os.close(lifeline_far)

    @property
    def pid(self) -> int:
        return self._process.pid

    def facts(self, timeout_s: float, *, gives_up: Callable[[], bool] = lambda: False) -> dict[str, Any] | None:
        """What the child says when it is ready; None where it dies before that.

        A child that takes too long is killed, and so is one that nobody waits for any more: `gives_up` is asked now and
        then.
        """
        give_up_at = time.monotonic() + timeout_s
        text = b""
        while time.monotonic() < give_up_at and not gives_up():
            if select.select([self._ready], [], [], _LOOK_EVERY_S)[0]:
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
        """How the child ended, None while it lives."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to stop: once to end what goes on, again to end at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float | None = None) -> int:
        """The exit status, as a shell tells it; subprocess.TimeoutExpired after `timeout_s`."""
        status = self._process.wait(timeout_s)
        return status if status >= 0 else 128 - status

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let go of a child that has ended."""
        os.close(self._lifeline)
