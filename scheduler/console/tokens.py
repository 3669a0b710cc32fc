"""TokenTable: the tokens for the console. The store contains the SHA-256 of each, never the token itself.

A token is valid until it expires or is removed. A link is valid once, for ten minutes: it starts a session, which is a
row of its own and can be removed like a token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select

from ..core.timestamps import instant, instant_or_none, stamp, stamp_or_none
from ..errors import ConfigError
from ..store.change_recording import Action, Author, NewChange, Subject, Way, record_changes
from ..store.database import Store
from ..store.schema import console_tokens as table
from .roles import TOKEN_ROLES, Role

LINK_LASTS = timedelta(minutes=10)
SESSION_LASTS = timedelta(days=30)
MAX_NAME_LENGTH = 100
#: Longer than any secret.
MAX_SECRET_LENGTH = 200
_TOKEN, _LINK, _SESSION = "token", "link", "session"


@dataclass(frozen=True, slots=True)
class Token:
    """A row: its name and its role. `digest` is the SHA-256 of the secret, in hexadecimal digits."""

    id: int
    kind: str
    name: str
    role: Role
    digest: str
    created_at: datetime
    expires_at: datetime | None


def new_link(store: Store, address: str, role: str, *, now: datetime) -> str:
    """An address of the console that signs its reader in, once, within ten minutes."""
    by = Author.of_process(Way.COMMAND_LINE)
    return f"{address}login?token={TokenTable(store).add_link(by.name, role, now=now, by=by)}"


class TokenTable:
    """The tokens of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, name: str, role: str, *, now: datetime, lasts: timedelta | None = None, by: Author | None = None
    ) -> str:
        """Make a token, and return its secret, which cannot be read later; ConfigError if the name is taken."""
        _check_name(name)
        with self._store.writing() as connection:
            self._store.acquire_mutex(connection)
            _remove_expired(connection, now)
            taken = select(table.c.id).where(table.c.name == name, table.c.kind == _TOKEN)
            if connection.execute(taken).first() is not None:
                raise ConfigError(f"there is a token {name!r} already; remove it first, or choose another name")
            secret = _insert(connection, _TOKEN, name, role, now, None if lasts is None else now + lasts)
            _record(connection, Action.ADDED, name, _TOKEN, role, by, now)
            return secret

    def add_link(self, name: str, role: str, *, now: datetime, by: Author | None = None) -> str:
        """Make the secret of a link, which is valid once, for ten minutes."""
        with self._store.writing() as connection:
            _remove_expired(connection, now)
            secret = _insert(connection, _LINK, name[:MAX_NAME_LENGTH], role, now, now + LINK_LASTS)
            _record(connection, Action.ADDED, name[:MAX_NAME_LENGTH], _LINK, role, by, now)
            return secret

    def redeem(self, secret: str, *, now: datetime) -> Token | None:
        """The token of a secret; for a link, a new session, and the link is used up. None if it is no longer valid."""
        digest = _digest(secret)
        found = self._read(table.c.digest == digest, now)
        if found is None or not hmac.compare_digest(found.digest, digest) or found.kind == _SESSION:
            return None
        return found if found.kind == _TOKEN else self._begin_session(found, now)

    def of_secret(self, secret: str, *, now: datetime) -> Token | None:
        """The token of a secret, which is no link; None if it is no longer valid."""
        digest = _digest(secret)
        found = self._read(table.c.digest == digest, now)
        is_token = found is not None and found.kind == _TOKEN and hmac.compare_digest(found.digest, digest)
        return found if is_token else None

    def _begin_session(self, link: Token, now: datetime) -> Token | None:
        with self._store.writing() as connection:
            if connection.execute(delete(table).where(table.c.id == link.id)).rowcount != 1:
                return None  # another request has used it meanwhile
            role = next(word for word, role in TOKEN_ROLES.items() if role is link.role)
            secret = _insert(connection, _SESSION, link.name, role, now, now + SESSION_LASTS)
            row = connection.execute(select(table).where(table.c.digest == _digest(secret))).one()
        return _token_of(row)

    def get(self, token_id: int, *, now: datetime) -> Token | None:
        """The token or session of an id; None if it is no longer valid."""
        found = self._read(table.c.id == token_id, now)
        return None if found is None or found.kind == _LINK else found

    def list(self, *, now: datetime) -> Sequence[Token]:
        """All valid tokens, sessions and links, by name."""
        query = select(table).where(_holds(now)).order_by(table.c.name, table.c.created_at)
        with self._store.reading() as connection:
            return [_token_of(row) for row in connection.execute(query)]

    def remove(self, name: str, *, now: datetime, by: Author | None = None) -> int:
        """Remove the tokens, sessions and links of a name; returns their number."""
        return self._remove(table.c.name == name, now, by)

    def remove_id(self, token_id: int, *, now: datetime, by: Author | None = None) -> int:
        """Remove one of them; returns the number of removed rows."""
        return self._remove(table.c.id == token_id, now, by)

    def _remove(self, condition: Any, now: datetime, by: Author | None) -> int:
        with self._store.writing() as connection:
            rows = connection.execute(select(table.c.name, table.c.kind, table.c.role).where(condition)).all()
            for name, kind, role in rows:
                _record(connection, Action.REMOVED, name, kind, role, by, now)
            connection.execute(delete(table).where(condition))
        return len(rows)

    def _read(self, condition: Any, now: datetime) -> Token | None:
        with self._store.reading() as connection:
            row = connection.execute(select(table).where(condition, _holds(now))).one_or_none()
        return None if row is None else _token_of(row)


def _holds(now: datetime) -> Any:
    return or_(table.c.expires_at.is_(None), table.c.expires_at > stamp(now))


def _insert(connection: Connection, kind: str, name: str, role: str, now: datetime, expires_at: datetime | None) -> str:
    secret = secrets.token_urlsafe(32)
    values = {
        # Random, so that a cookie never matches a later token with the same id.
        "id": secrets.randbits(62),
        "kind": kind,
        "name": name,
        "role": role,
        "digest": _digest(secret),
        "created_at": stamp(now),
        "expires_at": stamp_or_none(expires_at),
    }
    connection.execute(insert(table).values(values))
    return secret


def _record(
    connection: Connection, action: Action, name: str, kind: str, role: str, by: Author | None, now: datetime
) -> None:
    values = {"kind": kind, "role": role}
    before, after = (values, None) if action is Action.REMOVED else (None, values)
    record_changes(connection, [NewChange(action, name, None, before, after, subject=Subject.TOKEN)], by, now=now)


def _remove_expired(connection: Connection, now: datetime) -> None:
    connection.execute(delete(table).where(table.c.expires_at <= stamp(now)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token_of(row: Row[Any]) -> Token:
    return Token(
        row.id,
        row.kind,
        row.name,
        # A role of a later version has no rights here.
        TOKEN_ROLES.get(row.role, Role.NOBODY),
        row.digest,
        instant(row.created_at),
        instant_or_none(row.expires_at),
    )


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise ConfigError(f"the name of a token has 1 to {MAX_NAME_LENGTH} printable characters, got {name!r:.120}")
