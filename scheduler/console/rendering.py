"""The functions that every template can use: words, instants, addresses, and the reader."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, render_template, request

from . import moments, words
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
        "reset",
        "removed",
        "requested",
        "saved",
        "created",
        "kept",
        "ended",
        "changed",
        "cancelled",
    }
)


def install(app: Flask) -> None:
    """Add these functions to the templates of an application."""
    app.jinja_env.globals.update(
        t=t,
        say=say,
        link=link,
        here=here,
        root=root,
        static=static,
        reader=reader,
        instant=instant,
        weekday=weekday,
        zone_instant=zone_instant,
        duration=duration,
        relative=relative,
        languages=words.NAMES,
        tags=words.TAGS,
        now=lambda: console().now(),
        done=_done,
        keep_days=lambda: console().settings.keep_days,
        common=COMMON,
        seven=SEVEN_FIELDS,
    )
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
    """How far an instant lies ahead, or back."""
    return moments.relative(at, console().now(), reader().language)


def static(name: str) -> str:
    """The address of a static file; browsers may keep it, because the address changes with the file."""
    return link("static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:8]


def _done() -> str | None:
    did = request.args.get("did")
    return t(f"done.{did}") if did in DONE else None
