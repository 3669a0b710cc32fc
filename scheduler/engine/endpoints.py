"""Answers each endpoint: from a request to the JSON of its answer.

Lives here: one short function per endpoint. Never here: paths, credentials (authorization.py), headers, the status of
an exception.
"""

from __future__ import annotations

import functools
import logging
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ArgumentError, UnknownFunctionError, is_refusal
from ..functions.binding import bind
from ..functions.calling import run
from ..functions.context import Call
from . import call_end, capture, failures, hooks, response, typed_values
from .authorization import authorize
from .credentials import is_hook, our_keys
from .environment import PRODUCTION, STAGE, app_environment
from .failures import Failure, RefusedError, encode
from .parts import EngineParts
from .request import Request
from .response import Response
from .routes import METHODS, Match, Needs

logger = logging.getLogger(__package__)

Function = Callable[..., Any]


#: Called after each answer: with the endpoint, the names in its path, the HTTP status, and the seconds it took.
Watcher = Callable[[str, str, int, float], None]
watchers: list[Watcher] = []


def answer(parts: EngineParts, matched: Match, environ: Mapping[str, Any]) -> Response:
    """The response to a request at one of the engine's endpoints; exceptions become failures, and are logged."""
    if not watchers:
        return _answer(parts, matched, environ)
    began = time.perf_counter()
    answered = _answer(parts, matched, environ)
    took_s = time.perf_counter() - began
    for watcher in watchers:
        watcher(matched.endpoint.name, "/".join(matched.names), int(answered.status[:3]), took_s)
    return answered


def _answer(parts: EngineParts, matched: Match, environ: Mapping[str, Any]) -> Response:
    request = Request(environ, matched.names, parts.max_body_bytes)
    if request.method == "OPTIONS":
        return response.preflight(environ)
    try:
        return response.success(_value(parts, matched, request), environ, request.id)
    except Exception as error:
        failed = failures.failure_of(error, expose_errors=parts.expose_errors)
        if not getattr(error, "is_logged", False):
            call_end.log(_name(matched), request.id, failed, error)
        return response.failure(failed, environ, request.id)


def _value(parts: EngineParts, matched: Match, request: Request) -> bytes:
    endpoint = matched.endpoint
    if request.method not in METHODS:
        raise RefusedError(failures.METHOD_NOT_ALLOWED)
    if endpoint.needs is not Needs.NOTHING:
        authorize(parts, request, endpoint.needs)
    return ANSWERS[endpoint.name](parts, request)


def _ping(_: EngineParts, __: Request) -> bytes:
    return encode({"runtime": f"cpython-{platform.python_version()}", "version": _version()})


def _metadatas(parts: EngineParts, _: Request) -> bytes:
    system_names = [hooks.system_name(*hook) for hook in parts.registry.hook_names()]
    return encode({"result": sorted(parts.registry.names() + system_names)})


def _function(parts: EngineParts, request: Request) -> bytes:
    (name,) = request.names
    if name in hooks.REALTIME:
        return _realtime(parts, request, name)
    return _run_function(parts, request, request.params, answer=_result)


def _rpc(parts: EngineParts, request: Request) -> bytes:
    return _run_function(parts, request, _decoded(request.params), answer=_encoded_result)


def _hook(parts: EngineParts, request: Request) -> bytes:
    event, class_name = hooks.event_at(*request.names)
    _check_environment(parts, request)
    hook = _looked_up(parts.registry.get_hook, class_name, event.name)
    arguments = _hook_arguments(event, class_name, request)
    call = request.call(hooks.system_name(class_name, event.name))
    call.user = user = hooks.user_of(request.fields)
    if user and not call.session_token:
        call.session_token = user.get("sessionToken")

    def work() -> Any:
        return event.answer(arguments, run(functools.partial(hook, *arguments), {}))

    def fail(error: BaseException) -> Failure:
        failed = call_end.fail(call, error, expose_errors=parts.expose_errors)
        if event.logs_refusals and is_refusal(error):
            _log_refusal(call, failed)
        return failed

    return _bounded(parts, call, functools.partial(call_end.json_of, work, fail), parts.hook_limit_s)


def _log_refusal(call: Call, failed: Failure) -> None:
    message = "%s refused an object that is already saved: %s [request %s]"
    extra = {capture.CALL: (call.function, call.request_id)}
    logger.error(message, call.function, failed.error, call.request_id, extra=extra)


def _realtime(parts: EngineParts, request: Request, name: str) -> bytes:
    if parts.auth and not is_hook(request.credentials, our_keys()):
        raise RefusedError(failures.UNAUTHORIZED)
    _check_environment(parts, request)
    hook = _looked_up(parts.registry.get_hook, hooks.REALTIME_CLASS, name)
    arguments, call = _bound(hook, request.params), request.call(name)
    work = functools.partial(call_end.json_of, lambda: _result(run(hook, arguments)), _fail(parts, call))
    return _bounded(parts, call, work, parts.hook_limit_s)


def _run_function(
    parts: EngineParts, request: Request, params: Mapping[str, Any], *, answer: Callable[[Any], Any]
) -> bytes:
    (name,) = request.names
    _check_environment(parts, request)
    function = _looked_up(parts.registry.get, name)
    arguments = _bound(function, params)
    call = request.call(name)
    fetch_user, token = parts.fetch_user, call.session_token

    def work() -> Any:
        if fetch_user and token:
            call.user = fetch_user(token)
        return answer(run(function, arguments))

    work_to_json = functools.partial(call_end.json_of, work, _fail(parts, call))
    return _bounded(parts, call, work_to_json, parts.function_limit_s)


def _fail(parts: EngineParts, call: Call) -> call_end.Fail:
    return functools.partial(call_end.fail, call, expose_errors=parts.expose_errors)


def _bounded(parts: EngineParts, call: Call, work: Callable[[], bytes], limit_s: float) -> bytes:
    body: bytes = parts.execution.bounded(call, work, limit_s)
    return body


def _result(result: Any) -> Any:
    return {"result": result}


def _encoded_result(result: Any) -> Any:
    try:
        return {"result": typed_values.encode(result)}
    except Exception as error:  # a value that contains itself, or an instant out of range
        raise RefusedError(failures.not_json(error)) from error


def _check_environment(parts: EngineParts, request: Request) -> None:
    serves = _PROD.get(parts.environment or app_environment() or "")
    requested = request.credentials.prod
    if serves is not None and serves != requested:
        raise RefusedError(failures.not_deployed(requested))


def _looked_up(get: Callable[..., Function], *key: str) -> Function:
    """A function or hook; the 404 lists no other names, which only the master key may read."""
    try:
        return get(*key)
    except UnknownFunctionError:
        raise RefusedError(Failure(404, 404, f"{' '.join(key)[:80]!r} not found.")) from None


def _bound(function: Function, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return bind(function, params)
    except ArgumentError as error:
        raise RefusedError(Failure(400, 1, str(error))) from None


def _decoded(params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return typed_values.decode_fields(params)
    except (ValueError, RecursionError):
        raise RefusedError(failures.MALFORMED) from None


def _hook_arguments(event: hooks.HookEvent, class_name: str, request: Request) -> tuple[Any, ...]:
    try:
        return event.arguments(class_name, request.fields)
    except (ValueError, RecursionError):
        raise RefusedError(failures.MALFORMED) from None


def _name(matched: Match) -> str:
    """The name of a function or a hook in log lines, as `_ops/metadatas` lists it."""
    if matched.endpoint.name != "hook":
        return "/".join(matched.names)
    try:
        event, class_name = hooks.event_at(*matched.names)
    except RefusedError:
        return "/".join(matched.names)
    return hooks.system_name(class_name, event.name)


@functools.cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and only ping needs it

    try:
        return version("quartzcron")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0"


_PROD = {PRODUCTION: 1, STAGE: 0}

ANSWERS: dict[str, Callable[[EngineParts, Request], bytes]] = {
    "ping": _ping,
    "metadatas": _metadatas,
    "function": _function,
    "rpc": _rpc,
    "hook": _hook,
}
