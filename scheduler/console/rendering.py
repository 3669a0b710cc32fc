"""The functions that every template can use: words, instants, addresses, and the reader."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from datetime import datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request
from markupsafe import Markup

from ..errors import StoreError
from . import messages, moments, words
from .alarm import is_alarmed
from .current import console
from .examples import COMMON, SEVEN_FIELDS
from .links import here, link, root
from .reader import reader

_STATIC = Path(__file__).with_name("static")
#: The messages after a change, by the value of `did` in the address.
DONE = frozenset(
    {
        "enabled",
        "disabled",
        "disabled_runs",
        "reset",
        "removed",
        "requested",
        "requested_all",
        "saved",
        "created",
        "saved_only_caller",
        "created_only_caller",
        "kept",
        "paused",
        "paused_no_tag",
        "paused_no_tag_there",
        "resumed",
        "backfilled",
        "taken_back",
        "imported",
        "ended",
        "changed",
        "cancelled",
        "undone",
    }
)


#: The pages of the side bar, the endpoints at which each is the present one, and the letter that goes to it after `g`.
NAVIGATION = (
    ("overview", "home", ("home", "pauses", "checkup"), "o"),
    (
        "timers",
        "timers",
        ("timers", "timer", "new_timer", "edit_timer", "copy_timer", "run_form", "backfill", "import_timers"),
        "t",
    ),
    ("timeline", "timeline", ("timeline",), ""),
    ("runs", "runs", ("runs", "run"), "r"),
    ("logs", "logs", ("logs",), "l"),
    ("functions", "functions", ("functions", "function", "call_function"), "f"),
    ("instances", "instances", ("instances",), "i"),
    ("statistics", "statistics", ("statistics",), ""),
    ("calendars", "calendars", ("calendars", "calendar"), ""),
    ("alerts", "alerts", ("alerts",), "a"),
    ("changes", "changes", ("changes", "undo"), "c"),
    ("settings", "settings", ("settings",), "s"),
)
#: The header with which a page asks for its parts alone, and that which says whether its icon is red.
PART, ALARM = "Scheduler-Part", "Scheduler-Alarm"


def install(app: Flask) -> None:
    """Add these functions to the templates of an application."""
    app.jinja_env.globals.update(
        t=t,
        say=say,
        error_text=error_text,
        fault_text=lambda message: messages.said_of_line(reader().language, message),
        finding_text=lambda text: messages.said_finding(reader().language, text),
        check_name=lambda name: messages.said_check(reader().language, name),
        link=link,
        here=here,
        root=root,
        static=static,
        icon=icon,
        reader=reader,
        instant=instant,
        weekday=weekday,
        zone_instant=zone_instant,
        duration=duration,
        relative=relative,
        tick=tick,
        short=moments.short,
        is_part=is_part,
        navigation=NAVIGATION,
        languages=words.NAMES,
        tags=words.TAGS,
        now=lambda: console().now(),
        done=_done,
        keep_days=lambda: console().settings.keep_days,
        common=COMMON,
        seven=SEVEN_FIELDS,
    )
    app.after_request(_with_tag)
    app.after_request(_compressed)
    app.jinja_env.filters["shown_json"] = lambda value: json.dumps(dict(value), ensure_ascii=False, indent=2)


def render(template: str, **values: Any) -> str:
    """A page."""
    return render_template(template, **values)


def t(key: str, /, **values: Any) -> str:
    """The text of a key in the language of the reader."""
    return words.text(reader().language, key, **values)


def say(key: str, default: str | None = None) -> str:
    """The text of a key, or else the default, or else the key itself, which is then a message of the core."""
    return words.text_or(reader().language, key, key if default is None else default)


def error_text(message: str) -> str:
    """A message of an error in the language of the reader: a key of the words, or a message of the core."""
    language = reader().language
    return words.text_or(language, message, messages.said(language, message))


def instant(at: datetime) -> str:
    """An instant in the zone of the reader."""
    return moments.instant(at, reader().tz)


def zone_instant(at: datetime, tz: tzinfo) -> str:
    """An instant in another zone."""
    return moments.instant(at, tz)


def weekday(at: datetime, tz: tzinfo) -> str:
    """The short name of the day of the week."""
    return moments.weekday(at, tz, reader().language)


def duration(seconds: float | None) -> str:
    """A duration."""
    return moments.duration(seconds, reader().language)


def relative(at: datetime) -> str:
    """How far an instant lies ahead, or back; seconds alone make no part a changed one."""
    shown = moments.relative(at, console().now(), reader().language)
    is_near = abs(at - console().now()) < timedelta(minutes=2)
    return Markup("<span data-s>{}</span>").format(shown) if is_near else shown


_SECONDS = re.compile(rb"<span data-s>[^<]*</span>")


def tick(at: datetime, span: timedelta) -> str:
    """An instant on an axis: the time alone where the axis is shorter than a day and a half, the day where longer."""
    local = moments.instant(at, reader().tz)
    return local[11:19] if span < timedelta(minutes=10) else local[11:16] if span < timedelta(hours=36) else local[:10]


def is_part() -> bool:
    """Whether the page requests only its parts, because something has changed."""
    return request.headers.get(PART) is not None


def icon() -> str:
    """The name of the icon, which is red while something is wrong."""
    return "alarm.svg" if reader().token and _is_alarmed() else "icon.svg"


def _is_alarmed() -> bool:
    try:
        return is_alarmed(console().store, console().now())
    except StoreError:
        return True


def _with_tag(answer: Response) -> Response:
    """Answer 304 for parts that have not changed."""
    if is_part() and answer.status_code == 200:
        answer.headers[ALARM] = "yes" if _is_alarmed() else "no"
    if is_part() and answer.status_code == 200 and answer.mimetype == "text/html":
        shown = _SECONDS.sub(b"", answer.get_data())
        answer.set_etag(hashlib.sha256(shown).hexdigest()[:16])
        answer.make_conditional(request)
    return answer


def _compressed(answer: Response) -> Response:
    """Compress the files of the console, which are the same for every reader; pages have texts of users."""
    if request.endpoint == "static" and answer.status_code == 200 and request.accept_encodings["gzip"]:
        assert request.view_args is not None
        answer.direct_passthrough = False
        _close_file(answer.response)
        answer.set_data(_gzipped(request.view_args["filename"]))
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers.pop("ETag", None)
    if request.endpoint == "static":
        answer.vary.add("Accept-Encoding")
    return answer


def _close_file(body: Any) -> None:
    body.close()


@cache
def _gzipped(name: str) -> bytes:
    return gzip.compress((_STATIC / name).read_bytes(), mtime=0)


def static(name: str) -> str:
    """The address of a static file; browsers may keep it, because the address changes with the file."""
    return link("static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:8]


def _done() -> str | None:
    did = request.args.get("did")
    return t(f"done.{did}") if did in DONE else None
