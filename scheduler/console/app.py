"""The Flask application: its routes, its templates, and its error pages; server.py serves it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from jinja2 import StrictUndefined
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from ..project.settings import Settings
from ..store.database import Store
from . import errors, gates, rendering, sessions
from .body_limits import MAX_BODY_BYTES
from .current import API, EXTENSION, Console
from .digest.reading import Digest
from .engine_calls import engines_of
from .lazy_api import ADDRESS, LazyApi
from .live import Live
from .names import NameConverter
from .pages import (
    alerts,
    backfill,
    calendars,
    changes,
    checkup,
    editor,
    function,
    functions,
    instances,
    logs,
    overview,
    pauses,
    run_form,
    runs,
    settings,
    sign_in,
    statistics,
    stream,
    timeline,
    timer,
    timers,
    transfer,
    undo,
)
from .pages import api as api_page
from .proxies import TrustedProxies
from .sign_in_limits import SignInLimits
from .tokens import TokenTable

log = logging.getLogger("scheduler.console")

_TIMER = "/timers/<any(production, stage):environment>/<name:name>"
_FUNCTION = "/functions/<any(production, stage):environment>/<name:name>"

#: Address, endpoint, method and view. roles.py has the role that each endpoint needs.
ROUTES: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    ("/login", "sign_in", "GET", sign_in.show),
    ("/login", "sign_in_post", "POST", sign_in.enter),
    ("/logout", "sign_out", "POST", sign_in.leave),
    ("/", "home", "GET", overview.show),
    ("/live", "live", "GET", stream.show),
    ("/timers", "timers", "GET", timers.show),
    ("/timers", "change_timers", "POST", timers.change),
    ("/timers/new", "new_timer", "GET", editor.show_new),
    ("/timers/new", "new_timer_post", "POST", editor.save_new),
    ("/timers/preview", "preview", "GET", editor.show_preview),
    ("/timers/export", "export", "GET", transfer.export),
    ("/timers/import", "import_timers", "GET", transfer.show),
    ("/timers/import", "import_post", "POST", transfer.save),
    (_TIMER, "timer", "GET", timer.show),
    (f"{_TIMER}/edit", "edit_timer", "GET", editor.show_edit),
    (f"{_TIMER}/edit", "edit_timer_post", "POST", editor.save_edit),
    (f"{_TIMER}/copy", "copy_timer", "GET", editor.show_copy),
    (f"{_TIMER}/run", "run_form", "GET", run_form.show),
    (f"{_TIMER}/run", "run_timer", "POST", run_form.run),
    (f"{_TIMER}/backfill", "backfill", "GET", backfill.show),
    (f"{_TIMER}/backfill", "backfill_post", "POST", backfill.enter),
    (f"{_TIMER}/backfill/take-back", "take_back", "POST", backfill.take_back),
    (f"{_TIMER}/enable", "enable_timer", "POST", timer.enable),
    (f"{_TIMER}/disable", "disable_timer", "POST", timer.disable),
    (f"{_TIMER}/reset", "reset_timer", "POST", timer.reset),
    (f"{_TIMER}/remove", "remove_timer", "GET", timer.show_removal),
    (f"{_TIMER}/remove", "remove_timer_post", "POST", timer.remove),
    ("/runs", "runs", "GET", runs.show_list),
    ("/runs/<int:run_id>", "run", "GET", runs.show),
    ("/runs/<int:run_id>/again", "run_again", "POST", run_form.again),
    ("/runs/<int:run_id>/cancel", "cancel_run", "POST", runs.cancel),
    ("/instances", "instances", "GET", instances.show),
    ("/timeline", "timeline", "GET", timeline.show),
    ("/functions", "functions", "GET", functions.show),
    (_FUNCTION, "function", "GET", function.show),
    (_FUNCTION, "call_function", "POST", function.call),
    ("/statistics", "statistics", "GET", statistics.show),
    ("/calendars", "calendars", "GET", calendars.show_list),
    ("/calendars/<name:name>", "calendar", "GET", calendars.show),
    ("/pauses", "pauses", "GET", pauses.show),
    ("/pauses", "pause", "POST", pauses.pause),
    ("/pauses/end", "resume", "POST", pauses.resume),
    ("/alerts", "alerts", "GET", alerts.show),
    ("/checkup", "checkup", "GET", checkup.show),
    ("/changes", "changes", "GET", changes.show),
    ("/changes/<int:change_id>/undo", "undo", "GET", undo.show),
    ("/changes/<int:change_id>/undo", "undo_post", "POST", undo.undo_post),
    ("/logs", "logs", "GET", logs.show),
    ("/settings", "settings", "GET", settings.show),
    ("/settings", "preferences_post", "POST", settings.keep),
    ("/settings/tokens", "end_token", "POST", settings.end_token),
    ("/api", "api", "GET", api_page.show),
)


def _now() -> datetime:
    return datetime.now(UTC)


def make_app(
    store: Store, project: Settings, *, now: Callable[[], datetime] = _now, served: Mapping[str, str] | None = None
) -> Flask:
    """The console of a store, as a WSGI application; `served` are the engines of `scheduler up`, by environment."""
    app = Flask(__name__)
    app.extensions[EXTENSION] = console = Console(
        store=store,
        settings=project,
        now=now,
        tokens=TokenTable(store),
        limits=SignInLimits(),
        cookie=sessions.cookie_name(str(store)),
        digest=Digest(store),
        live=Live(store),
        engines=engines_of(project, served or {}),
    )
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES, MAX_FORM_PARTS=5_000)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.converters["name"] = NameConverter
    gates.install(app)
    errors.install(app)
    rendering.install(app)
    for address, endpoint, method, view in ROUTES:
        app.add_url_rule(address, endpoint, view, methods=[method], provide_automatic_options=False)
    app.extensions[API] = api = LazyApi(console)
    both = DispatcherMiddleware(app.wsgi_app, {ADDRESS: api})
    app.wsgi_app = TrustedProxies(both, project)  # type: ignore[method-assign]
    return app
