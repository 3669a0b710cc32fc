"""Preferences of the reader, the settings of the project with their origins, and the tokens."""

from __future__ import annotations

from flask import Response, abort, request

from ...core.addresses import without_password
from ...core.zone_names import zone
from ...errors import TimerError
from ...project.setting_table import SETTINGS
from ...project.settings import rules_origin
from ..current import author, console
from ..links import go
from ..reader import KEYS, KEYS_ARE, LANGUAGE, THEME, THEMES, ZONE, reader
from ..rendering import render
from ..words import LANGUAGES

_YEAR_S = 365 * 86_400
#: Values of settings whose names contain these words are never shown.
_SECRET_WORDS = ("key", "token", "secret", "password")


def show(wrong_zone: str | None = None) -> str:
    """The page."""
    return render(
        "settings.html",
        rows=list(setting_rows()),
        tokens=console().tokens.list(now=console().now()) if reader().is_operator else [],
        themes=THEMES,
        wrong_zone=wrong_zone,
    )


def setting_rows() -> list[tuple[str, str, str]]:
    """The name, the value and the origin of each setting."""
    settings = console().settings
    rows = []
    for name in SETTINGS:
        value = getattr(settings, name, settings.executor_settings.get(name))
        shown = "–" if value in (None, ()) else without_password(str(value))
        if any(word in name for word in _SECRET_WORDS) and value is not None:
            shown = "••••"
        rows.append((name, shown, rules_origin(settings) if name == "rules" else settings.origin(name)))
    return rows


def keep() -> Response | tuple[str, int]:
    """Keep the preferences of the form in cookies."""
    name = request.form.get("zone", "").strip()
    if name:
        try:
            zone(name[:64])
        except TimerError as error:
            return show(wrong_zone=str(error)), 422
    answer = go("settings", did="kept")
    for cookie, value, allowed in (
        (LANGUAGE, request.form.get("language", ""), list(LANGUAGES)),
        (THEME, request.form.get("theme", ""), THEMES),
        (KEYS, request.form.get("keys", ""), KEYS_ARE),
        (ZONE, name, [name]),
    ):
        if value and value in allowed:
            answer.set_cookie(cookie, value, max_age=_YEAR_S, path="/", samesite="Lax")
        elif cookie == ZONE:
            answer.delete_cookie(cookie, path="/")
    return answer


def end_token() -> Response:
    """Remove a token, a session or a link."""
    token_id = request.form.get("id", type=int)
    if token_id is None:
        abort(400)
    console().tokens.remove_id(token_id, now=console().now(), by=author())
    return go("settings", did="ended")
