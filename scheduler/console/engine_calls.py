"""Calls a function for an operator, through the engine that serves it; the console itself runs no code of the user.

Each call is recorded with the other changes before it is sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from threading import BoundedSemaphore
from typing import Any, NamedTuple
from urllib.parse import quote

from ..core.deadlines import FUNCTION_LIMIT_S
from ..core.timer import Environment
from ..core.timer_checks import params_text
from ..engine.credentials import Keys, our_keys
from ..errors import SchedulerError
from ..project.settings import Settings
from ..store.change_recording import Action, Author, NewChange, Subject, record_changes
from .current import Console

#: The most characters of an answer that are kept.
MAX_ANSWER = 65_536
#: How much longer than the engine the console waits, for an answer that says so.
_MARGIN_S = 2.0
#: The most calls at a time: each holds a thread of the console while it waits.
_MOST = 4
_slots = BoundedSemaphore(_MOST)


class CallRefusedError(SchedulerError):
    """A call that was not sent: no engine is known, or too many calls are in progress."""


class EngineAnswer(NamedTuple):
    """The answer to a call: the result as JSON text, or the error.

    `is_cut`: the result is longer than what is kept of it, so it is no JSON. `is_from_engine`: the error is in the
    words of the function or the engine, which are not translated; otherwise the engine has not answered.
    """

    result: str | None
    error: str | None
    request_id: str | None
    took_s: float
    is_cut: bool = False
    is_from_engine: bool = True


def engines_of(settings: Settings, served: Mapping[str, str]) -> Mapping[Environment, str]:
    """The addresses of the engines that serve the functions of each environment; `served` are those of `up`."""
    found = {}
    for environment in Environment:
        of_environment = settings.for_environment(environment)
        remote = dict(of_environment.executor_settings).get("remote_engine")
        local = served.get(environment) if of_environment.runs_what_is_served else None
        if address := remote or local:
            found[environment] = str(address).rstrip("/")
    return found


def call(
    console: Console, name: str, environment: Environment, params: Mapping[str, Any], *, by: Author
) -> EngineAnswer:
    """Call a function, and wait for its answer; TimerError for parameters that are no JSON object or too long.

    CallRefusedError if it was not sent.
    """
    sent = params_text(params)
    address = console.engines.get(environment)
    if address is None:
        raise CallRefusedError(f"no engine is known that serves the functions of {environment}")
    if not _slots.acquire(blocking=False):
        raise CallRefusedError(f"{_MOST} calls are in progress already; try again when one of them has ended")
    try:
        made = NewChange(Action.CALLED, name, environment, after={"params": dict(params)}, subject=Subject.FUNCTION)
        with console.store.writing() as connection:
            record_changes(connection, [made], by, now=console.now())
        return asyncio.run(_sent(f"{address}/1.1/functions/{quote(name, safe='')}", sent, environment))
    finally:
        _slots.release()


async def _sent(address: str, params: str, environment: Environment) -> EngineAnswer:
    import httpx  # takes a tenth of a second to import, and most consoles call no function

    began = time.monotonic()
    status, body, request_id, error = 0, b"", None, None
    try:
        async with (
            asyncio.timeout(FUNCTION_LIMIT_S + _MARGIN_S),
            httpx.AsyncClient(timeout=None, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", address, content=params.encode(), headers=_headers(our_keys(), environment)) as got,
        ):
            status, request_id = got.status_code, got.headers.get("X-Request-Id")
            async for piece in got.aiter_bytes():
                body += piece
                if len(body) > MAX_ANSWER:
                    break
    except TimeoutError:
        error = f"the engine has not answered within {FUNCTION_LIMIT_S + _MARGIN_S:.0f} s"
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        error = f"the engine does not answer ({type(failure).__name__})"
    took_s = time.monotonic() - began
    if error is not None:
        return EngineAnswer(None, error, request_id, took_s, is_from_engine=False)
    return _read(status, body, request_id, took_s)


def _headers(keys: Keys, environment: Environment) -> dict[str, str]:
    key = keys.app_key or f"{keys.master_key},master"
    return {
        "X-LC-Id": keys.app_id or "",
        "X-LC-Key": key,
        "X-LC-Prod": "1" if environment is Environment.PRODUCTION else "0",
        "Content-Type": "application/json",
    }


def _read(status: int, body: bytes, request_id: str | None, took_s: float) -> EngineAnswer:
    """The answer of an engine: `{"result": …}`, or `{"code": …, "error": …}`."""
    is_cut = len(body) > MAX_ANSWER
    text = body[:MAX_ANSWER].decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if status == 200 and isinstance(value, dict) and "result" in value:
        return EngineAnswer(json.dumps(value["result"], ensure_ascii=False, indent=2), None, request_id, took_s)
    if status == 200 and is_cut:
        return EngineAnswer(text, None, request_id, took_s, is_cut=True)
    error = value.get("error") if isinstance(value, dict) else None
    return EngineAnswer(None, str(error or text or f"status {status}"), request_id, took_s)
