"""The engine: a WSGI callable around a site, and the decorators that fill its registry.

Lives here: the methods that a user's `cloud.py` and `wsgi.py` call. Never here: answering requests (endpoints.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from ..core.deadlines import FUNCTION_LIMIT_S, HOOK_LIMIT_S
from ..errors import ConfigError, LeanEngineError
from ..functions.calling import invoke
from ..functions.context import Call, current_call
from ..functions.registry import Registry
from . import body, default_engine
from .authorization import body_limit
from .current import Current
from .endpoints import answer
from .environment import ENVIRONMENTS, variable
from .execution import Execution
from .failures import NOT_FOUND
from .hooks import REALTIME, REALTIME_CLASS, VERIFIED_KINDS
from .http_server import Capacity, EngineServer
from .not_included import attribute_error
from .parts import EngineParts
from .request import request_id
from .response import Response, failure, preflight
from .routes import Refusal, match, refusal
from .wsgi_apps import checked_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from ..functions.registry import Schedule
    from .declaration_options import TimerOptions

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_PORT = 3000


class Engine:
    """Serves cloud functions and hooks beside a WSGI site, by the LeanEngine protocol.

    `Engine(app)` wraps a site; `Engine()` answers every other path with a 404 in JSON. Limits are in seconds and
    bytes. `fetch_user(token)` returns the user of a session; `environment` is `production` or `stage`, or None for
    LEANCLOUD_APP_ENV (without that, both are served); `auth=False` checks no keys; `expose_errors=False` writes the
    text of unexpected exceptions only to the log; `max_age_s` refuses signatures that are older. At most
    `max_concurrency` functions run at once, including those abandoned at their limit: give the server some more
    threads, so that ping always gets one. Under our own server (`start`, `scheduler up`), `max_body_bytes` also applies
    to the site.
    """

    LeanEngineError = LeanEngineError

    def __init__(
        self,
        wsgi_app: WSGIApplication | None = None,
        fetch_user: Callable[[str], Any] | bool | None = None,
        *,
        auth: bool = True,
        environment: str | None = None,
        expose_errors: bool = True,
        function_limit_s: float = FUNCTION_LIMIT_S,
        hook_limit_s: float = HOOK_LIMIT_S,
        max_concurrency: int = 64,
        max_body_bytes: int = body.LIMIT_BYTES,
        max_age_s: float | None = None,
    ) -> None:
        if fetch_user is True:
            raise ConfigError("fetch_user=True fetched users from LeanCloud; give a function from token to user")
        if environment not in (None, *ENVIRONMENTS):
            raise ConfigError(f"unknown environment {environment!r}; use one of {', '.join(ENVIRONMENTS)}, or None")
        self.registry = Registry()
        self.current = Current()
        self.max_concurrency = max_concurrency
        self.max_body_bytes = max_body_bytes
        self._app = checked_app(wsgi_app) if wsgi_app is not None else None
        self._server: EngineServer | None = None
        self._execution = Execution(max_concurrency, prepare=functools.partial(default_engine.current_engine.set, self))
        self._parts = EngineParts(
            registry=self.registry,
            execution=self._execution,
            fetch_user=fetch_user or None,
            auth=auth,
            environment=environment,
            expose_errors=expose_errors,
            function_limit_s=function_limit_s,
            hook_limit_s=hook_limit_s,
            max_body_bytes=max_body_bytes,
            max_age_s=max_age_s,
        )
        default_engine.enlist(self)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request: the engine's own paths here, every other path by the site (engine protocol § 1)."""
        path = environ.get("PATH_INFO", "")
        matched = match(path)
        if matched is not None:
            return _send(answer(self._parts, matched, environ), environ, start_response)
        refused = refusal(path)
        if refused is None and self._app is not None:
            return self._app(environ, start_response)
        return _send(_missing(refused, environ), environ, start_response)

    def body_limit(self, environ: WSGIEnvironment) -> int:
        """The most bytes of a body that the engine reads, judged by the headers; 0 if it answers without the body.

        Our own server calls this when the headers are complete, so that strangers cannot make it read megabytes.
        """
        path = environ.get("PATH_INFO", "")
        matched = match(path)
        if matched is not None:
            return body_limit(self._parts, matched, environ)
        return self.max_body_bytes if refusal(path) is None else 0

    @property
    def current_user(self) -> Any:
        """The user of the call in progress, None without one."""
        return self.current.user

    def call(self, name: str, /, **params: Any) -> Any:
        """Call a function by name in this thread, as a request would: arguments bound and coerced, a context set.

        Returns and raises what the function does; UnknownFunctionError and ArgumentError are raised before it runs.
        Inside another call, the user, session and request id of that call are passed on, and its deadline holds.
        """
        function = self.registry.get(name)
        return self._execution.inline(
            _nested_call(name), lambda: invoke(function, params), self._parts.function_limit_s
        )

    def wrap(self, wsgi_app: WSGIApplication) -> Engine:
        """Add a site to an engine that was made without one, and return the engine.

        RuntimeError if it has one; ConfigError for an ASGI app (FastAPI, Starlette, Quart …), which no WSGI server can
        call.
        """
        if self._app is not None:
            raise RuntimeError("this engine wraps an app already")
        self._app = checked_app(wsgi_app)
        return self

    if not TYPE_CHECKING:  # otherwise mypy would accept every attribute of an engine

        def __getattr__(self, name: str) -> Any:
            raise attribute_error(self, name)

    def register(self, engine: Engine) -> None:
        """Add the functions, hooks and timers of another engine; RuntimeError for a name that both have."""
        if not isinstance(engine, Engine):
            raise TypeError(f"register expects an Engine, got {type(engine).__name__}")
        self.registry.update(engine.registry)
        default_engine.withdraw(engine)

    def start(self, *, host: str = "0.0.0.0", port: int | None = None) -> None:
        """Serve this engine by waitress until `stop`, on LEANCLOUD_APP_PORT or 3000; for programs without a server."""
        port = port if port is not None else int(variable("APP_PORT") or DEFAULT_PORT)
        self._server = EngineServer(self, host=host, port=port, capacity=Capacity.of(self))
        self._server.serve()

    def stop(self) -> None:
        """Stop the server that `start` runs, and the idle worker threads; a later call starts new threads."""
        if self._server is not None:
            self._server.stop()
        self._execution.pool.stop()

    @overload
    def define(self, function: F, /) -> F: ...
    @overload
    def define(self, name: str | None = None, /) -> Callable[[F], F]: ...
    def define(self, function: Any = None, /) -> Any:
        """Register a cloud function, as `@engine.define` under its own name or as `@engine.define("name")`.

        Returns the function; RuntimeError for a name that is taken. A function with the name of a realtime hook,
        such as `_messageReceived`, becomes that hook.
        """
        if callable(function):
            return self._define(function, None)
        return functools.partial(self._define, name=function)

    @overload
    def timer(self, schedule: Schedule = None, /, **options: Unpack[TimerOptions]) -> Callable[[F], F]: ...
    @overload
    def timer(
        self, schedule: Schedule = None, /, **options: Any
    ) -> Callable[[F], F]: ...  # options of other packages' triggers
    def timer(self, schedule: Schedule = None, /, **options: Any) -> Callable[[F], F]:
        """Declare a timer beside its function: `@engine.timer("0 0 8 ? * MON", tz="Asia/Shanghai")`, or `every=60`.

        Instead of an expression it may be a trigger, or a list of both. The function is defined under its own name
        unless it is defined already. Options are those of triggers, such as `every`, `at`, `tz` and `dst`, `name`
        (default: the function's), and every other attribute of a Timer: `params`, `limit_s`, `enabled`, `retries` and
        so on. `scheduler up` synchronises the store with the declared timers.
        """
        if callable(schedule):
            raise TypeError('@engine.timer needs a schedule: @engine.timer("0 0 8 ? * MON") or @engine.timer(every=60)')
        return functools.partial(self.registry.declare_timer, schedule=schedule, options=options)

    def before_save(self, class_name: str) -> Callable[[F], F]:
        """Register a hook for an object before its first save; the fields it sets are saved, an exception refuses."""
        return self._hook(class_name, "before_save")

    def after_save(self, class_name: str) -> Callable[[F], F]:
        """Register a hook for an object after its first save."""
        return self._hook(class_name, "after_save")

    def before_update(self, class_name: str) -> Callable[[F], F]:
        """Register a hook for an object before a change to it is saved; `updated_keys` names the changed fields."""
        return self._hook(class_name, "before_update")

    def after_update(self, class_name: str) -> Callable[[F], F]:
        """Register a hook for an object after a change to it was saved."""
        return self._hook(class_name, "after_update")

    def before_delete(self, class_name: str) -> Callable[[F], F]:
        """Register a hook for an object before it is deleted; an exception refuses."""
        return self._hook(class_name, "before_delete")

    def after_delete(self, class_name: str) -> Callable[[F], F]:
        """Register a hook for an object after it was deleted."""
        return self._hook(class_name, "after_delete")

    def on_verified(self, kind: str) -> Callable[[F], F]:
        """Register a hook for a user whose phone (`sms`) or mail address (`email`) was verified."""
        if kind not in VERIFIED_KINDS:
            raise RuntimeError(f"unknown kind {kind!r}; use one of {', '.join(VERIFIED_KINDS)}")
        return self._hook(kind, "on_verified")

    @overload
    def on_login(self, function: F, /) -> F: ...
    @overload
    def on_login(self, function: None = None, /) -> Callable[[F], F]: ...
    def on_login(self, function: Any = None, /) -> Any:
        """Register the hook for a user who is about to log in; an exception refuses. Brackets are optional."""
        return self._user_hook(function, "on_login")

    @overload
    def on_auth_data(self, function: F, /) -> F: ...
    @overload
    def on_auth_data(self, function: None = None, /) -> Callable[[F], F]: ...
    def on_auth_data(self, function: Any = None, /) -> Any:
        """Register the hook for the authData of a third party; the value it returns replaces the authData."""
        return self._user_hook(function, "on_auth_data")

    def on_insight(self, event: str) -> Callable[[F], F]:
        """Register the hook `f(ok, data)` for the end of an offline analysis; `end` is the only event."""
        if event != "end":
            raise RuntimeError(f"unknown insight event {event!r}; the only one is 'end'")
        return self._hook("BigQuery", "on_complete")

    #: Its name in version 1 of LeanCloud's SDK.
    on_bigquery = on_insight

    def _define(self, function: F, name: str | None) -> F:
        defined_as = name or getattr(function, "__name__", "")
        if defined_as in REALTIME:
            return self.registry.define_hook(function, REALTIME_CLASS, defined_as)
        return self.registry.define(function, name=name)

    def _hook(self, class_name: str, event: str) -> Callable[[F], F]:
        if not isinstance(class_name, str):  # `@engine.before_save` without brackets passes the function
            raise TypeError(f'@engine.{event} needs the name of a class: @engine.{event}("Review")')
        return functools.partial(self.registry.define_hook, class_name=class_name, event=event)

    def _user_hook(self, function: Any, event: str) -> Any:
        if function is None:  # `@engine.on_login()`
            return self._hook("_User", event)
        if not callable(function):
            raise TypeError(f"@engine.{event} takes no arguments: @engine.{event}")
        return self.registry.define_hook(function, "_User", event)


def _nested_call(name: str) -> Call:
    outer = current_call.get()
    if outer is None:
        return Call(name, request_id(None))
    return Call(name, outer.request_id, None, outer.timer, outer.user, outer.session_token, dict(outer.meta))


def _missing(refused: Refusal | None, environ: WSGIEnvironment) -> Response:
    """The answer to a path that is neither the engine's nor the site's; pages of other origins can read it."""
    if refused is not None and environ["REQUEST_METHOD"] == "OPTIONS":
        return preflight(environ)
    missing = NOT_FOUND if refused is None else NOT_FOUND._replace(error=refused.value)
    return failure(missing, environ, request_id(environ.get("HTTP_X_REQUEST_ID")))


def _send(response: Response, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response(response.status, response.headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" or not response.body else [response.body]
