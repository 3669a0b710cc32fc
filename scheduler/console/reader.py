"""The reader of a page: language, time zone, theme and role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from flask import Request, g

from ..core.zone_names import zone
from ..errors import TimerError
from ..project.settings import Settings
from .roles import Role
from .tokens import Token
from .words import LANGUAGES

#: The cookies of preferences, which only affect the look of pages.
LANGUAGE, ZONE, THEME, KEYS = "scheduler-lang", "scheduler-zone", "scheduler-theme", "scheduler-keys"
THEMES = ("system", "light", "dark")
#: Whether single keys do something; who speaks to the browser turns them off.
KEYS_ARE = ("on", "off")
_MAX_ZONE_LENGTH = 64
_UTC_NAMES = frozenset({"UTC", "UCT", "Universal", "Zulu"})


@dataclass(frozen=True, slots=True)
class Reader:
    """The preferences and the token of a request."""

    language: str
    zone_name: str
    tz: tzinfo
    theme: str
    keys: str = KEYS_ARE[0]
    token: Token | None = None
    #: The parts hidden from viewers, by the setting console_hide: `params`, `results`, `lines`.
    hidden: tuple[str, ...] = ()

    @property
    def role(self) -> Role:
        """The role of the reader."""
        return Role.NOBODY if self.token is None else self.token.role

    @property
    def is_operator(self) -> bool:
        """Whether the reader may change anything."""
        return self.role >= Role.OPERATOR

    def sees(self, what: str) -> bool:
        """Whether the reader sees `params`, `results` or `lines`."""
        return self.is_operator or what not in self.hidden


def reader_of(request: Request, settings: Settings, token: Token | None) -> Reader:
    """The reader of a request."""
    name, tz = _zone(request.cookies.get(ZONE), settings.tz)
    theme = request.cookies.get(THEME, "")
    return Reader(
        language=_language(request, settings.console_language),
        zone_name=name,
        tz=tz,
        theme=theme if theme in THEMES else THEMES[0],
        keys=KEYS_ARE[request.cookies.get(KEYS) == "off"],
        token=token,
        hidden=settings.console_hide,
    )


def reader() -> Reader:
    """The reader of this request."""
    found = g.reader
    assert isinstance(found, Reader)
    return found


def _language(request: Request, default: str) -> str:
    for given in (request.args.get("lang"), request.cookies.get(LANGUAGE)):
        if given in LANGUAGES:
            return str(given)
    return request.accept_languages.best_match(list(LANGUAGES), default) or default


def _zone(given: str | None, default: str) -> tuple[str, tzinfo]:
    if given and len(given) <= _MAX_ZONE_LENGTH:
        try:
            return shown_zone(given), zone(given)
        except TimerError:
            pass
    return shown_zone(default), zone(default)


def shown_zone(name: str) -> str:
    """The name of a zone on pages: one for UTC, to which the machine and the browser may give different ones.

    >>> shown_zone("Etc/UTC"), shown_zone("Europe/Berlin")
    ('UTC', 'Europe/Berlin')
    """
    return "UTC" if name.removeprefix("Etc/") in _UTC_NAMES else name
