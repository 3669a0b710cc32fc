"""The console of the present request: its store, its settings and its clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import current_app

from ..core.timer import Environment
from ..project.settings import Settings
from ..store.change_recording import Author, Way
from ..store.database import Store
from ..store.timers import TimerTable
from .digest.reading import Digest
from .live import Live
from .reader import reader
from .sign_in_limits import SignInLimits
from .tokens import TokenTable

EXTENSION = "scheduler.console"
#: The extension with the management API.
API = "scheduler.console.api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The parts that every page needs; one for each application."""

    store: Store
    settings: Settings
    now: Callable[[], datetime]
    tokens: TokenTable
    limits: SignInLimits
    cookie: str
    digest: Digest
    live: Live
    #: The addresses of the engines that serve the functions, for calls.
    engines: Mapping[Environment, str] = field(default_factory=dict, repr=False)

    def close(self) -> None:
        """End the streams and the reading of the history."""
        self.live.close()
        self.digest.close()

    @property
    def timers(self) -> TimerTable:
        """The timers of the store."""
        return TimerTable(self.store)


def console() -> Console:
    """The console of the application that answers this request."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Console)
    return found


def api_document() -> Mapping[str, Any]:
    """The OpenAPI document of the management API."""
    found: Mapping[str, Any] = current_app.extensions[API].document
    return found


def author(why: str = "") -> Author:
    """The author of this request's change, for the record of changes; TimerError for a reason that is too long."""
    token = reader().token
    assert token is not None, "gates let only requests with a token pass"
    return Author(token.name, Way.CONSOLE, why.replace("\r\n", "\n").strip())
