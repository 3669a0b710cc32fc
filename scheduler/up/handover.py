"""Handover: what a process of `scheduler up` inherits from its supervisor: sockets, a channel, a lifeline.

Lives here: the child's end; the supervisor's end is in process.py. The listening sockets stay open in the supervisor,
so that no connection is refused while one process replaces another.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..workers.process_tree import die_with_parent

#: The environment variable that holds a child's Handover as JSON.
VARIABLE = "SCHEDULER_HANDOVER"


@dataclass(frozen=True, slots=True)
class Handover:
    """The file descriptors that a child inherits, and its options.

    `options` is an UpOptions as JSON. `declares`: it applies the declared timers to the store; a process that replaces
    an ended one does not. `counts_calls`: it reports the calls that it answers, for the metrics. `terminal`: the
    descriptors for its messages, if its stdout and stderr are pipes; `raw` are the reading ends of those pipes.
    """

    channel: int
    lifeline: int
    options: Mapping[str, Any]
    listener: int | None = None
    metrics_listener: int | None = None
    declares: bool = True
    counts_calls: bool = False
    #: The file of the SourceSnapshot from which it loads the user's modules.
    sources: int | None = None
    terminal: Sequence[int] | None = None
    raw: Sequence[int] | None = None

    @property
    def descriptors(self) -> list[int]:
        """All inherited descriptors."""
        given = [self.channel, self.lifeline, self.listener, self.metrics_listener, self.sources]
        given += [*(self.terminal or ()), *(self.raw or ())]
        return [descriptor for descriptor in given if descriptor is not None]

    def as_text(self) -> str:
        """The text for the environment variable."""
        return json.dumps(asdict(self))


def received_handover() -> Handover | None:
    """The handover from the supervisor, None without one; from now on, this process dies with the supervisor."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    handover = Handover(**json.loads(text))
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, False)
    die_with_parent(handover.lifeline)
    return handover


class Channel:
    """The child's end of the channel to its supervisor: JSON, one message a line."""

    def __init__(self, fileno: int) -> None:
        self._socket = socket.socket(fileno=fileno)
        self._lock = threading.Lock()
        #: The rest of a message that was sent only in part.
        self._unsent = b""
        # A process that a function forks must not answer for this one.
        os.register_at_fork(after_in_child=self._socket.close)

    def send(self, **message: Any) -> None:
        """Send a message; does nothing if the supervisor has ended, because this process ends with it."""
        with self._lock, contextlib.suppress(OSError):
            unsent, self._unsent = self._unsent, b""
            self._socket.sendall(unsent + _encoded(message))

    def send_at_once(self, **message: Any) -> bool:
        """Send a message if that does not block, except briefly for another thread; returns whether it was sent."""
        if not self._lock.acquire(timeout=_AT_ONCE_S):
            return False
        try:
            if self._unsent:
                return False
            text = _encoded(message)
            sent = self._socket.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            # It is sent with the next message, for example the answer to a ping.
            self._unsent = text[sent:]
        except OSError:
            return False
        finally:
            self._lock.release()
        return True

    def messages(self, before: Callable[[], object] = lambda: None) -> Iterator[dict[str, Any]]:
        """The messages of the supervisor, until it closes the channel; `before` is called before they are parsed."""
        text = b""
        while piece := self._socket.recv(65_536):
            before()
            *lines, text = (text + piece).split(b"\n")
            yield from map(json.loads, lines)


#: How long to wait for a message that another thread sends.
_AT_ONCE_S = 0.01


def _encoded(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
