"""The keys of the application, the credentials of a request, and their comparison.

Lives here: the tables of header and body names, and the level that a request proves. Never here: answering.
Every comparison takes constant time, and an unset key of ours never matches anything (engine protocol § 2).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from .environment import variable

#: The headers of each credential, as WSGI spells them; the first that is not empty counts.
HEADERS: dict[str, tuple[str, ...]] = {
    "id": ("HTTP_X_LC_ID", "HTTP_X_AVOSCLOUD_APPLICATION_ID", "HTTP_X_ULURU_APPLICATION_ID"),
    "key": ("HTTP_X_LC_KEY", "HTTP_X_AVOSCLOUD_APPLICATION_KEY", "HTTP_X_ULURU_APPLICATION_KEY"),
    "master": ("HTTP_X_AVOSCLOUD_MASTER_KEY", "HTTP_X_ULURU_MASTER_KEY"),
    "signature": ("HTTP_X_LC_SIGN", "HTTP_X_AVOSCLOUD_REQUEST_SIGN", "HTTP_X_ULURU_REQUEST_SIGN"),
    "session": ("HTTP_X_LC_SESSION", "HTTP_X_AVOSCLOUD_SESSION_TOKEN", "HTTP_X_ULURU_SESSION_TOKEN"),
    "hook": ("HTTP_X_LC_HOOK_KEY",),
    "production": ("HTTP_X_LC_PROD", "HTTP_X_AVOSCLOUD_APPLICATION_PRODUCTION", "HTTP_X_ULURU_APPLICATION_PRODUCTION"),
}

#: The fields that old browser SDKs put into a text/plain body, because a header would need a preflight.
BODY_FIELDS: dict[str, str] = {
    "_ApplicationId": "id",
    "_ApplicationKey": "key",
    "_MasterKey": "master",
    "_SessionToken": "session",
    "_ApplicationProduction": "production",
}

_MASTER_MARK = "master"
_PROOFS = ("id", "key", "master", "signature", "session", "hook")


class Level(IntEnum):
    """The key that a request proves: none, the application's, or the master key."""

    NONE = 0
    APP = 1
    MASTER = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one application; left out of repr, so that no log line or traceback shows one."""

    app_id: str | None = field(default=None, repr=False)
    app_key: str | None = field(default=None, repr=False)
    master_key: str | None = field(default=None, repr=False)
    hook_key: str | None = field(default=None, repr=False)

    @property
    def suffice(self) -> bool:
        """Whether these keys can accept any request."""
        return bool(self.app_id and (self.app_key or self.master_key))

    def resolved(self) -> Keys:
        """The keys, with the current value of its environment variable for each that is None."""
        if None not in (self.app_id, self.app_key, self.master_key, self.hook_key):
            return self
        return Keys(
            self.app_id if self.app_id is not None else variable("APP_ID"),
            self.app_key if self.app_key is not None else variable("APP_KEY"),
            self.master_key if self.master_key is not None else variable("APP_MASTER_KEY"),
            self.hook_key if self.hook_key is not None else variable("APP_HOOK_KEY"),
        )


class Credentials(NamedTuple):
    """The credentials of a request, each an empty text when absent; left out of repr."""

    id: str = ""
    key: str = ""
    master: str = ""
    signature: str = ""
    session: str = ""
    hook: str = ""
    production: str = ""

    def __repr__(self) -> str:
        return "<Credentials>"

    @property
    def are_absent(self) -> bool:
        """Whether no credential is present, so that those in the body count."""
        return not (self.id or self.key or self.master or self.signature or self.session or self.hook)

    @property
    def prod(self) -> int:
        """The requested environment: 1 production (the default), 0 stage."""
        return 0 if self.production.strip().lower() in ("0", "false") else 1


_given = Keys()


def init(
    app_id: str | None = None, app_key: str | None = None, master_key: str | None = None, hook_key: str | None = None
) -> None:
    """Set the keys of the application for every engine of this process; None falls back to the environment.

    The variables are `LEANCLOUD_APP_ID, LEANCLOUD_APP_KEY, LEANCLOUD_APP_MASTER_KEY, LEANCLOUD_APP_HOOK_KEY`, then
    the same under `LC_`, read at each request.
    """
    global _given  # noqa: PLW0603  the protocol has one application per process
    _given = Keys(app_id, app_key, master_key, hook_key)


def our_keys() -> Keys:
    """The keys that `init` was given, completed from the environment."""
    return _given.resolved()


def keep_keys() -> None:
    """Keep the present keys from now on, whatever a function does to the environment variables of this process."""
    global _given  # noqa: PLW0603  as in `init`
    _given = our_keys()


def of_headers(environ: Mapping[str, Any]) -> Credentials:
    """The credentials in the headers of a request."""
    values = []
    get = environ.get
    for names in HEADERS.values():
        value = ""
        for name in names:
            if value := get(name) or "":
                break
        values.append(value)
    return Credentials(*values)


def of_body(fields: Mapping[str, Any], headers: Credentials) -> Credentials:
    """The credentials in the body of a request that has none in its headers; a header still names the environment."""
    given = {name: fields[key] for key, name in BODY_FIELDS.items() if isinstance(fields.get(key), str | int)}
    values = {name: str(value) for name, value in given.items()}
    if headers.production:
        values["production"] = headers.production
    return Credentials(**values)


def may_be_in(body: bytes, keys: Keys) -> bool:
    """Whether a body may contain credentials of ours; this check is much cheaper than parsing."""
    app_id = json.dumps(keys.app_id or "")[1:-1].encode()
    return bool(app_id) and b"_ApplicationId" in body and app_id in body


def level(presented: Credentials, keys: Keys, *, now_ms: float = 0.0, max_age_s: float | None = None) -> Level:
    """The key that the credentials prove; with `max_age_s`, a signature may differ from `now_ms` by that much."""
    if not same(keys.app_id, presented.id):
        return Level.NONE
    signature = _Signature.of(presented.signature, now_ms, max_age_s)
    if (
        same(keys.master_key, presented.master)
        or same(keys.master_key, presented.key.removesuffix(f",{_MASTER_MARK}"))
        or (signature and signature.is_of(keys.master_key))
    ):
        return Level.MASTER
    if same(keys.app_key, presented.key) or (signature and not signature.master and signature.is_of(keys.app_key)):
        return Level.APP
    return Level.NONE


def is_hook(presented: Credentials, keys: Keys) -> bool:
    """Whether the request proves the hook key, which a hook needs besides the application's key."""
    return same(keys.hook_key, presented.hook)


def same(key: str | None, presented: str) -> bool:
    """Compare a key of ours in constant time; an unset or empty one equals nothing."""
    if not key or not presented:
        return False
    return hmac.compare_digest(key.encode("utf-8", "surrogatepass"), presented.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class _Signature:
    digest: str
    timestamp: str
    master: bool

    @classmethod
    def of(cls, text: str, now_ms: float, max_age_s: float | None) -> _Signature | None:
        digest, *rest = text.split(",")
        if not rest or len(rest) > 2 or rest[1:] not in ([], [_MASTER_MARK]):
            return None
        timestamp = rest[0]
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):
            return None
        if max_age_s is not None and abs(now_ms - int(timestamp)) > max_age_s * 1000:
            return None
        return cls(digest.lower(), timestamp, len(rest) == 2)

    def is_of(self, key: str | None) -> bool:
        if not key:
            return False
        expected = hashlib.md5((self.timestamp + key).encode("utf-8", "surrogatepass"), usedforsecurity=False)
        return same(expected.hexdigest(), self.digest)
