"""Requests to targets: one POST within a total deadline, to a checked address.

It follows no redirect, and reads at most 1,000 bytes of the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .private_addresses import PrivateAddressError, resolved

if TYPE_CHECKING:
    import httpx

#: The most bytes of an answer that are read.
MAX_READ = 1_000
#: A shorter part of a path, such as v1, is not a secret.
_SHORTEST_SECRET = 6
USER_AGENT = "quartzcron-scheduler"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a target: whether it has accepted the request, and a text for logs."""

    is_accepted: bool
    text: str


class Requests:
    """A client for targets; `close` closes its connections."""

    def __init__(self) -> None:
        import httpx  # takes a tenth of a second to import

        # Proxies from environment variables are ignored: the address that is checked is the one that is connected to.
        # No limit of connections: a target that hangs would keep a request to another one waiting. Callers limit them.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float, allow_private: bool, hint: str
    ) -> Answer:
        """POST, and return the result; never raises for what a target does. `hint` is the setting that allows more."""
        try:
            async with asyncio.timeout(deadline_s):
                return await self._post(url, body, headers, allow_private)
        except TimeoutError:
            return Answer(False, f"no answer within {deadline_s:g} s")
        except PrivateAddressError as error:
            return Answer(False, f"{error}; {hint} allows that")
        except Exception as error:
            return Answer(False, f"{type(error).__name__}: {error}".removesuffix(": ")[:200])

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], allow_private: bool) -> Answer:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        address = await resolved(host, port, allow_private=allow_private)
        request = self._client.build_request(
            "POST",
            self._connected_to(url, address),
            content=body,
            headers={"Host": parts.netloc, "User-Agent": USER_AGENT, "Connection": "close", **headers},
            # The certificate is checked for the name, not for the address.
            extensions={"sni_hostname": host},
        )
        response = await self._client.send(request, stream=True)
        try:
            if response.is_success:
                return Answer(True, f"answered {response.status_code}")
            return Answer(False, _refusal(response.status_code, _without_path(await _beginning(response), url)))
        finally:
            await response.aclose()

    @staticmethod
    def _connected_to(url: str, address: str) -> httpx.URL:
        import httpx

        return httpx.URL(url).copy_with(host=address)


def _refusal(status: int, text: str) -> str:
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}{': ' if text else ''}{text}"


def _without_path(text: str, url: str) -> str:
    """A text of the target's, which may repeat the path and the query of the address: they are secrets."""
    parts = urlsplit(url)
    secrets = {parts.path, parts.query, *parts.path.split("/"), *parts.query.split("&")}
    shown = {form for secret in secrets for form in (secret, unquote(secret)) if len(form) >= _SHORTEST_SECRET}
    for secret in sorted(shown, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


async def _beginning(response: httpx.Response) -> str:
    """The beginning of an answer's body in one line."""
    body = b""
    async for piece in response.aiter_raw(MAX_READ):
        body += piece
        if len(body) >= MAX_READ:
            break
    line = body[:MAX_READ].decode("utf-8", "replace").strip().partition("\n")[0]
    return "".join(c if c.isprintable() else " " for c in line)[:150].strip()
