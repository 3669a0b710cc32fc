"""A console of this process on a port of its own, and a real Chromium."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("flask")

from scheduler.console.app import make_app
from scheduler.console.current import EXTENSION, Console
from scheduler.console.server import ConsoleServer
from scheduler.console.tokens import new_link
from scheduler.project.settings import read_settings
from scheduler.store.database import Store
from tests.waiting import PATIENCE_S

from .test_digest import START

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Served:
    """A console of this process, on a port of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.store = Store(folder / f"{name}.db")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        app = make_app(self.store, read_settings(folder, {}, {}), now=lambda: START)
        self.console: Console = app.extensions[EXTENSION]
        self._server = ConsoleServer(app, self._listener)
        self.link = new_link(self.store, self.url, "operator", now=START)
        self._thread = Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(PATIENCE_S)
        self._listener.close()
        self.store.close()


@contextmanager
def launched() -> Iterator[Any]:
    """A Chromium without a window."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        # As root, Chromium has no sandbox.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        # By default 5 s, in which a console on a busy machine does not start.
        api.expect.set_options(timeout=PATIENCE_S * 1000)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()
