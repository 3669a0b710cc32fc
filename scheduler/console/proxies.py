"""Trusted proxies: they alone may name the address and the scheme of a browser, and who its user is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from ..project.settings import Settings

#: Where the user that a trusted proxy has named is in the environment of a request.
USER = "scheduler.console.user"
_CLAIMS = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO")
_MAX_USER_LENGTH = 200


class TrustedProxies:
    """WSGI middleware that applies the headers of trusted proxies, and removes those that any other client sends."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self._app = app
        self._networks = [ip_network(given, strict=False) for given in settings.console_proxies]
        header = settings.console_user_header
        self._user_key = None if header is None else f"HTTP_{header.upper().replace('-', '_')}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        is_trusted = self._is_trusted(environ.get("REMOTE_ADDR", ""))
        forwarded_for, scheme = (environ.pop(key, "") for key in _CLAIMS)
        user = environ.pop(self._user_key, "") if self._user_key else ""
        if is_trusted:
            # Each proxy appends the address that it sees; the client may have forged the ones before it.
            environ["REMOTE_ADDR"] = self._first_stranger(forwarded_for) or environ["REMOTE_ADDR"]
            if scheme.strip().lower() in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme.strip().lower()
            if user.strip():
                environ[USER] = user.strip().encode("latin-1").decode("utf-8", "replace")[:_MAX_USER_LENGTH]
        return self._app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(mapped in network for network in self._networks)

    def _first_stranger(self, forwarded_for: str) -> str | None:
        for address in reversed(forwarded_for.split(",")):
            if not self._is_trusted(address.strip()):
                return address.strip()[:100] or None
        return None
