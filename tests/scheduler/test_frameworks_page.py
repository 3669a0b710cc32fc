"""The programs of the page on web frameworks run: Flask, Django and FastAPI, each as the page has it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, Client
from tests.test_documents import blocks_of

PAGE = "docs/frameworks.md"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their stores are files of the folder in which they run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEANCLOUD_APP_ID", APP_ID)
    monkeypatch.setenv("LEANCLOUD_APP_KEY", APP_KEY)
    monkeypatch.setenv("SCHEDULER_RULES", "standard")


def program(word: str) -> str:
    """The one block of the page with a word."""
    (text,) = [text for language, text in blocks_of(PAGE) if language == "python" and word in text]
    return text


def run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(text, PAGE, "exec"), names)
    return names


def test_flask_is_served_beside_functions_and_a_scheduler_runs_in_it() -> None:
    """The second block goes on where the first one ends."""
    names = run(program("Flask(__name__)") + "\n" + program("scheduler.start()"))
    client = Client(names["application"])
    assert client.get("/").body == b"a page"
    assert client.call("hello", {"name": "Ann"}).json == {"result": "hello, Ann"}
    names["scheduler"].stop()
    names["engine"].stop()


def test_fastapi_runs_a_timer_from_a_request() -> None:
    """Started and stopped by its lifespan."""
    names = run(program("FastAPI(lifespan=lifespan)"))
    assert asyncio.run(answer_of(names["app"], "/refresh")) == '"refreshed rates"'
    assert [entry.timer.name for entry in timers_of_store()] == ["rates"]


async def answer_of(app: Any, path: str) -> Any:
    """The JSON of one POST, within the lifespan of an app."""
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        return (await client.post(path)).json()


def timers_of_store() -> list[Any]:
    from scheduler.store.database import Store
    from scheduler.store.timers import TimerTable

    with Store("timers.db") as store:
        return list(TimerTable(store).list(None))


def test_django_is_served_beside_a_timer(tmp_path: Path) -> None:
    """In a process of its own, because settings are set once."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "settings.py").write_text("SECRET_KEY = 'k'\nROOT_URLCONF = 'shop.urls'\nDEBUG = True\n")
    (tmp_path / "shop" / "urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        "urlpatterns = [path('', lambda request: HttpResponse('a page'))]\n"
    )
    (tmp_path / "cloud.py").write_text(program("get_wsgi_application"))
    check = (
        "import cloud; from wsgiref.util import setup_testing_defaults; environ = {'HTTP_HOST': 'localhost'}; "
        "setup_testing_defaults(environ); print(b''.join(cloud.engine(environ, lambda *_: None)), "
        "cloud.engine.registry.names(), len(cloud.engine.registry.timers))"
    )
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, env=os.environ, check=False)
    assert ran.stdout == "b'a page' ['clear_sessions'] 1\n", ran.stderr
