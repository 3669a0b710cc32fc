"""Sites that an engine takes, and those that it refuses."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import pytest
from a2wsgi import ASGIMiddleware
from bottle import Bottle
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware

from scheduler.engine import Engine
from scheduler.errors import ConfigError
from tests.scheduler.engine.wsgi_client import Client


@pytest.fixture(autouse=True, scope="module")
def _django() -> None:
    """Handlers of Django need settings."""
    if not settings.configured:
        settings.configure()
        django.setup()


async def asgi_function(scope: Any, receive: Any, send: Any) -> None:
    """The smallest ASGI app."""


def plain_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a page"]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (FastAPI, "fastapi.applications.FastAPI"),
        (Starlette, "starlette.applications.Starlette"),
        (ASGIHandler, "django.core.handlers.asgi.ASGIHandler"),
        (lambda: GZipMiddleware(Starlette()), "starlette.middleware.gzip.GZipMiddleware"),
        (lambda: asgi_function, "asgi_function"),
        (lambda: functools.partial(asgi_function), "functools.partial"),
    ],
)
def test_an_asgi_app_is_refused_by_its_name(make: Callable[[], Any], name: str) -> None:
    """By the constructor and by `wrap`, with a way out; no server has to answer 500 first."""
    for give in (Engine, Engine().wrap):
        with pytest.raises(ConfigError, match=rf"^{name} is an ASGI app, .* a2wsgi\.ASGIMiddleware"):
            give(make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Flask("site"),
        Bottle,
        WSGIHandler,
        lambda: plain_wsgi,
        lambda: functools.partial(plain_wsgi),
        Engine,
        lambda: ASGIMiddleware(FastAPI()),
    ],
)
def test_a_wsgi_app_is_taken(make: Callable[[], Any]) -> None:
    """Also by `wrap`; another engine is one, too."""
    assert isinstance(Engine(make()), Engine)
    assert isinstance(Engine().wrap(make()), Engine)


@pytest.mark.parametrize("app", ["app", 1, object(), {}])
def test_what_cannot_be_called_is_refused(app: Any) -> None:
    """With what it is."""
    with pytest.raises(ConfigError, match="a site must be a WSGI app, which is callable; got "):
        Engine(app)


def test_the_way_out_works() -> None:
    """FastAPI through a2wsgi, beside functions."""
    site = FastAPI()

    @site.get("/")
    async def index() -> str:
        return "a page"

    client = Client(Engine(ASGIMiddleware(site)))
    assert client.get("/").body == b'"a page"'


def test_an_asgi_application_of_a_wsgi_py_is_refused_at_the_start(tmp_path: Path, command_line: Any) -> None:
    """`application = FastAPI()` beside an engine."""
    command_line.write(
        "wsgi.py",
        "from fastapi import FastAPI\nfrom scheduler.engine import Engine\n"
        "engine = Engine()\napplication = FastAPI()\n",
    )
    assert "fastapi.applications.FastAPI is an ASGI app" in command_line.refusal("up", "--one-process", "--port", "0")
    sys.modules.pop("wsgi", None)
