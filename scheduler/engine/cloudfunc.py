"""Call cloud functions by name, from functions and from programs: `cloudfunc.run("hello", name="x")`.

Lives here: the choice between a local and a remote call, and the remote call. A local call uses the default engine of
this process; a remote one the server in LEANCLOUD_API_SERVER, with one deadline for the whole exchange, so that a slow
server cannot hold a function past its limit.
"""

from __future__ import annotations

import json
import time
from datetime import UTC
from typing import Any

from ..core.deadlines import FUNCTION_LIMIT_S, deadline, left_s
from ..errors import ConfigError, LeanCloudError, LeanEngineError, UnknownCloudFunctionError
from ..functions.calling import complete
from ..functions.context import TimerCall, current_call
from . import body, typed_values
from .credentials import our_keys
from .default_engine import LocalEngine, default_engine
from .environment import STAGE, app_environment, variable
from .failures import TIMED_OUT, UNAUTHORIZED, encode
from .hooks import REALTIME
from .not_included import NOT_IN_CLOUD, import_error

CONNECTION_FAILED = 100  # LeanCloud's code for an unreachable server


class CloudFunction:
    """`run` or `rpc`: calls a function locally if the default engine has it, else on the remote server."""

    def __init__(self, endpoint: str, *, decodes: bool) -> None:
        self._endpoint = endpoint
        self._decodes = decodes

    def __call__(self, name: str, /, **params: Any) -> Any:
        """The result of a function; UnknownCloudFunctionError if the name is not local and no server is configured."""
        engine = default_engine()
        if engine is not None and name in engine.registry:
            return engine.call(name, **params)
        if variable("API_SERVER"):
            return self.remote(name, **params)
        raise _not_found(name, engine)

    def local(self, name: str, /, **params: Any) -> Any:
        """The result of a function of the default engine; raises what the function raises.

        UnknownCloudFunctionError for an unknown name; a realtime hook is refused without the hook key.
        """
        engine = default_engine()
        if engine is None or name not in engine.registry:
            raise _not_found(name, engine)
        return engine.call(name, **params)

    def remote(self, name: str, /, **params: Any) -> Any:
        """The result of a function of the server in LEANCLOUD_API_SERVER; LeanCloudError with the code it answers.

        The limit is 15 s, or the time left of the calling function: code 124 after that, 100 if the server cannot be
        reached. The session token and the request id of the calling function are sent along.
        """
        server = variable("API_SERVER")
        if not server:
            raise ConfigError(f"no server for {name!r}; set LEANCLOUD_API_SERVER to its base URL")
        content = encode(typed_values.encode(params) if self._decodes else params)
        url = f"{server.rstrip('/')}/1.1/{self._endpoint}/{_quoted(name)}"
        try:
            status, answer = complete(_post(url, content, _limit_s()))
        except TimeoutError:
            raise LeanCloudError(TIMED_OUT.code, TIMED_OUT.error) from None
        result = _result(status, answer)
        return typed_values.decode(result) if self._decodes else result


def _not_found(name: str, engine: LocalEngine | None) -> LeanEngineError:
    if name in REALTIME:
        return LeanEngineError(UNAUTHORIZED.code, UNAUTHORIZED.error)
    return UnknownCloudFunctionError(name, engine.registry.names() if engine else ())


__getattr__ = import_error(__name__, NOT_IN_CLOUD)
run = CloudFunction("functions", decodes=False)
rpc = CloudFunction("call", decodes=True)


async def _post(url: str, content: bytes, limit_s: float) -> tuple[int, bytes]:
    import asyncio  # both are slow to import, and most programs make no remote call

    import httpx

    answer = bytearray()
    try:
        async with (
            asyncio.timeout(limit_s),
            httpx.AsyncClient(timeout=None) as client,
            client.stream("POST", url, content=content, headers=_headers()) as response,
        ):
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > body.LIMIT_BYTES:
                    raise LeanCloudError(CONNECTION_FAILED, "the server's answer is larger than 20 MB")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LeanCloudError(CONNECTION_FAILED, f"cannot call {url}: {error or type(error).__name__}") from None
    return response.status_code, bytes(answer)


def _headers() -> dict[str, str]:
    keys, call = our_keys(), current_call.get()
    key = keys.app_key or (f"{keys.master_key},master" if keys.master_key else None)
    headers = {
        "Content-Type": "application/json",
        "X-LC-Id": keys.app_id,
        "X-LC-Key": key,
        # Without it, the server ignores the timer and the id of its run.
        "X-LC-Hook-Key": keys.hook_key if call and call.timer else None,
        "X-LC-Prod": "0" if app_environment() == STAGE else "1",
        "X-LC-Session": call.session_token if call else None,
        "X-Request-Id": call.request_id if call else None,
        **_timer_headers(call.timer if call else None),
    }
    return {name: value for name, value in headers.items() if value}


def _timer_headers(timer: TimerCall | None) -> dict[str, str]:
    """The headers that pass the timer of the calling function to the remote one (engine protocol § 3)."""
    if timer is None:
        return {}
    return {
        "X-Timer-Name": _quoted(timer.name),
        "X-Timer-Scheduled-Time": timer.scheduled_at.astimezone(UTC).isoformat(),
        "X-Timer-Attempt": str(timer.attempt),
        "X-Timer-Past-Due": "true" if timer.past_due else "",
    }


def _limit_s() -> float:
    now, call = time.monotonic(), current_call.get()
    return left_s(now, deadline(now, FUNCTION_LIMIT_S, enclosing=call.deadline if call else None))


def _result(status: int, answer: bytes) -> Any:
    try:
        fields = json.loads(answer)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise LeanCloudError(1, f"the server answered {status} without a JSON object")
    if status != 200:
        raise LeanCloudError(fields.get("code", 1), str(fields.get("error", f"the server answered {status}")))
    return fields.get("result")


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
