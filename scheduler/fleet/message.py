"""The messages of the broker: the ids of the runs to begin, and the channel to notify; checked when received.

Lives here: the message that a daemon sends, and the checks of received ones. Any client of the broker can send
anything; so function, parameters and limit come from the row of a run (runs.py), and an invalid message is dropped
here, before Celery reads it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from ..core.run import Task

log = logging.getLogger("scheduler.worker")

#: The name of the fleet's only Celery task.
TASK = "scheduler.run"
#: How long a child begins further runs of one message; added to the hard limit of the message.
CHUNK_S = 1.0
#: The time that a child has to write the begin and the end of a run, in addition to the function's limit.
WRITE_S = 0.2
#: The most runs of a message, and the most characters of its body; messages of version 0.1.0 contain parameters.
MOST_RUNS, MOST_CHARACTERS = 250, 2_000_000
#: The longest hard limit: a hundred days.
_MOST_LIMIT_S = 8_640_000.0
_CHANNEL = re.compile(r"scheduler_[0-9a-f]{16}")
_LOG_EVERY_S = 10.0


class MessageError(ValueError):
    """A message is not one that a daemon sends; the text says why."""


class RunKey(NamedTuple):
    """The id of a run and its request id, which is random, so that the key of a run cannot be guessed."""

    run_id: int
    request_id: str


class Message(NamedTuple):
    """Begin these runs, within this hard limit for each and CHUNK_S for all, and notify the daemon on `channel`."""

    runs: tuple[RunKey, ...]
    channel: str
    hard_limit_s: float

    @property
    def limit_s(self) -> float:
        """The time limit of each run."""
        return round(self.hard_limit_s - _extra_s(len(self.runs)), 3)

    @property
    def run_ids(self) -> list[int]:
        return [key.run_id for key in self.runs]


def arguments(tasks: Sequence[Task], channel: str) -> tuple[list[RunKey], str]:
    """The arguments of the Celery task in a message that asks for these runs."""
    return [RunKey(task.run_id, task.request_id) for task in tasks], channel


def hard_limit_s(limit_s: float, count: int) -> float:
    """After how many seconds Celery kills a child that has not finished a message with `count` runs."""
    return limit_s + _extra_s(count)


def _extra_s(count: int) -> float:
    return WRITE_S + (CHUNK_S if count > 1 else 0)


def parsed(arguments: Any, time_limit: Any) -> Message:
    """The contents of a message; MessageError if it is not one that a daemon sends."""
    if not isinstance(arguments, list | tuple) or len(arguments) != 2:
        raise MessageError("its arguments are not runs and a channel")
    keys, channel = arguments
    if not isinstance(keys, list | tuple) or not 0 < len(keys) <= MOST_RUNS:
        raise MessageError(f"it does not ask for 1 to {MOST_RUNS} runs")
    if not isinstance(channel, str) or not _CHANNEL.fullmatch(channel):
        raise MessageError("its channel is not a daemon's")
    hard_limit_s = time_limit[0] if isinstance(time_limit, list | tuple) and time_limit else None
    if isinstance(hard_limit_s, bool) or not isinstance(hard_limit_s, int | float) or not isfinite(hard_limit_s):
        raise MessageError("it has no time limit")
    if not 0 < hard_limit_s <= _MOST_LIMIT_S:
        raise MessageError("its time limit is out of bounds")
    return Message(tuple(map(_run_key, keys)), channel, float(hard_limit_s))


def _run_key(key: Any) -> RunKey:
    if isinstance(key, list | tuple) and len(key) == 9:
        # From a daemon of version 0.1.0; its function, parameters and other values are not trusted.
        key = [key[0], key[4]]
    if not isinstance(key, list | tuple) or len(key) != 2:
        raise MessageError("a run in it is not an id and a request id")
    run_id, request_id = key
    if isinstance(run_id, bool) or not isinstance(run_id, int) or not 0 < run_id < 2**63:
        raise MessageError("the id of a run in it is not a row number")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= 64 or not request_id.isalnum():
        raise MessageError("the request id of a run in it is invalid")
    return RunKey(run_id, request_id)


def cleaned(message: Any) -> None:
    """Strip a message of Kombu's to the checked values; MessageError if it is not one that a daemon sends."""
    headers = message.headers
    if not isinstance(headers, Mapping) or headers.get("task") != TASK:
        raise MessageError("it is not for the task of a fleet")
    if "compression" in headers:
        raise MessageError("it is compressed")
    if message.body is None or len(message.body) > MOST_CHARACTERS:
        raise MessageError("it is empty" if message.body is None else f"it has {len(message.body)} characters")
    task_id = headers.get("id")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= 64:
        raise MessageError("it has no id")
    try:
        body = message.decode()
    except Exception as error:  # a decoder may raise anything for bytes that a stranger sent
        raise MessageError(f"it cannot be decoded ({type(error).__name__})") from error
    if not isinstance(body, list | tuple) or not body:
        raise MessageError("its body is not a list")
    believed = parsed(body[0], headers.get("timelimit"))
    # Without callbacks, a start time, an expiry and other headers that Celery would obey.
    message.headers = {
        "lang": "py",
        "task": TASK,
        "id": task_id,
        "timelimit": [believed.hard_limit_s, None],
        "argsrepr": "",
        "kwargsrepr": "{}",
        "ignore_result": True,
        "retries": 0,
    }
    message.properties = {}
    content = [[list(map(list, believed.runs)), believed.channel], {}, {}]
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.body = json.dumps(content)
    message._decoded_cache = content


def is_envelope(payload: Any) -> bool:
    """Whether a text from a queue of Redis or PGMQ is an envelope that Kombu can read."""
    if not isinstance(payload, dict) or not isinstance(payload.get("body"), str):
        return False
    properties, headers = payload.get("properties"), payload.get("headers")
    if not isinstance(properties, dict) or not isinstance(headers, dict) or "compression" in headers:
        return False
    delivery = properties.get("delivery_info")
    return (
        isinstance(properties.get("delivery_tag"), str)
        and isinstance(delivery, dict)
        and properties.get("body_encoding") in ("base64", None)
        and all(isinstance(delivery.get(name, ""), str) for name in ("exchange", "routing_key"))
    )


class Dropped:
    """Counts the messages that a worker has dropped, and logs the count at most every ten seconds."""

    def __init__(self) -> None:
        self.count = 0
        self._logged_at = 0.0
        #: The count in the last log line.
        self._said = 0
        self._lock = threading.Lock()

    def add(self, reason: object) -> None:
        """Count a message that was dropped for `reason`."""
        with self._lock:
            self.count += 1
            now = time.monotonic()
            if self.count > 1 and now - self._logged_at < _LOG_EVERY_S:
                return
            self._logged_at, self._said = now, self.count
        log.warning("dropped a message of the broker, %d so far: %s", self.count, reason)

    def close(self) -> None:
        """Log the final count, unless the last line has it."""
        if self.count > self._said:
            log.warning("dropped %d messages of the broker in all", self.count)


#: The count of this process.
dropped = Dropped()
