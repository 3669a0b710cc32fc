"""The application of the API, from the table of routes; and its OpenAPI document."""

from __future__ import annotations

import logging
import threading
from importlib.metadata import version
from typing import Any

from flask import Response
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ...errors import ConfigError, RunError, StoreError, TimerError
from ..body_limits import MAX_BODY_BYTES
from ..current import EXTENSION, Console
from ..names import NameConverter
from . import gate
from .context import answer
from .field_errors import field_errors
from .problems import KINDS, MEDIA_TYPE, ProblemError, ProblemModel, problem_of
from .routes import DOCUMENT, ROUTES, Route
from .runs import WAITING

log = logging.getLogger("scheduler.console")

#: How many requests wait at a time for the end of a run; each takes one of the server's threads.
MAX_WAITING = 4
_RETRY_AFTER_S = 5
_ABOUT = """Manage the timers of a store: everything that people do on the console's pages.

Send `Authorization: Bearer TOKEN`, with a token of `scheduler console tokens add NAME --role operator`. Lists have
pages: `next` is the `cursor` of the next one. Every instant has its offset; durations end in `_s`, in seconds.
Errors are `application/problem+json`. Later versions may add fields to answers."""
_SECURITY: Any = {
    "token": {"type": "http", "scheme": "bearer"},
    "masterKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-LC-Key",
        "description": "`KEY,master`, with the application's id in X-LC-Id, as LeanCloud's clients send it.",
    },
    "appId": {"type": "apiKey", "in": "header", "name": "X-LC-Id"},
}
_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemModel"}}}
#: The statuses that any request may get.
_ANY = {kind.status: kind.title for kind in KINDS.values() if kind.status != 500}


def make_api(console: Console) -> OpenAPI:
    """The API of a console, as a WSGI application below /api/1."""
    app = OpenAPI(
        __name__,
        info=Info(title="Timers", version="1", description=_ABOUT),
        security_schemes=_SECURITY,
        responses={status: {"description": text, "content": _PROBLEM_CONTENT} for status, text in _ANY.items()},
        # Relative to the document, so that it is true behind any proxy.
        openapi_extensions={"servers": [{"url": "../1"}], "x-service-version": version("quartzcron")},
        validation_error_model=ProblemModel,
        validation_error_callback=_refuse,
        doc_ui=False,
        static_folder=None,
    )
    app.request_class = gate.ApiRequest
    app.extensions[EXTENSION] = console
    app.extensions[WAITING] = threading.BoundedSemaphore(MAX_WAITING)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES)
    app.url_map.converters["name"] = NameConverter
    app.url_map.strict_slashes = False
    gate.install(app)
    _install_errors(app)
    for route in ROUTES:
        _add(app, route)
    app.add_url_rule("/openapi.json", DOCUMENT, lambda: answer(app.api_doc), provide_automatic_options=False)
    return app


def _add(app: OpenAPI, route: Route) -> None:
    """Add a route, and its part of the document."""
    text = (route.handler.__doc__ or "").strip()
    summary, _, more = text.partition("\n\n")
    add = getattr(app, route.method.lower())
    add(
        route.address,
        endpoint=route.endpoint,
        operation_id=route.endpoint.replace(".", "_"),
        tags=[Tag(name=route.tag)],
        summary=" ".join(summary.split()),
        description=" ".join(more.split()) or f"Role: {route.role.name.lower()}.",
        responses=dict(route.answers),
        security=[{"token": []}, {"masterKey": [], "appId": []}],
        provide_automatic_options=False,
        openapi_extensions=_body_of_list(route),
    )(route.handler)


def _body_of_list(route: Route) -> dict[str, Any]:
    if not route.media_types:
        return {}
    schemas = {"application/json": {"type": "array", "items": {"type": "object"}}, "text/csv": {"type": "string"}}
    content = {media_type: {"schema": schemas[media_type]} for media_type in route.media_types}
    return {"requestBody": {"required": True, "content": content}}


# Errors


def _install_errors(app: OpenAPI) -> None:
    app.register_error_handler(ProblemError, lambda error: error.answer())
    app.register_error_handler(TimerError, lambda error: problem_of(error).answer())
    app.register_error_handler(RunError, lambda error: ProblemError("conflict", str(error)).answer())
    app.register_error_handler(ConfigError, lambda error: ProblemError("invalid", str(error)).answer())
    app.register_error_handler(StoreError, _of_store)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_fault)


def _refuse(error: ValidationError) -> Response:
    """Answer a request whose fields are not those of its model."""
    items = list(field_errors(error.errors(include_url=False, include_context=False, include_input=False)))
    first = items[0]
    detail = f"{first['field']}: {first['message']}" if first["field"] else str(first["message"])
    raise ProblemError("invalid", detail, field=first["field"], problems=items)


def _of_store(error: StoreError) -> Response:
    log.warning("the store does not answer: %s", error)
    headers = {"Retry-After": str(_RETRY_AFTER_S)}
    return ProblemError("unavailable", "the store does not answer; try again", headers=headers).answer()


def _of_http(error: HTTPException) -> Response:
    match error.code:
        case 404:
            return ProblemError("unknown", "there is no such address; GET openapi.json lists them").answer()
        case 405:
            allowed = error.valid_methods if isinstance(error, MethodNotAllowed) else None
            shown = ", ".join(sorted(allowed or ()))
            return ProblemError("method", f"this address takes {shown}", headers={"Allow": shown}).answer()
        case 413:
            return ProblemError("too_large", "the body is too large; it has at most 1 MB, an import 10 MB").answer()
        case 415:
            return ProblemError("media_type", "send application/json").answer()
        case code if code is not None and code < 500:
            return ProblemError("malformed", str(error.description or error.name)).answer()
    return _of_fault(error)


def _of_fault(error: Exception) -> Response:
    log.exception("unexpected error in the API", exc_info=error)
    return ProblemError("fault", "an unexpected error; the console's log has it").answer()
