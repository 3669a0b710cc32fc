"""The address of a store, as users write it, to the URL with which SQLAlchemy opens it."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..core.addresses import without_password
from ..errors import StoreError

_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")


def parse_url(text: str) -> URL:
    """The database's address; a bare path means a SQLite file. StoreError for an address of no store."""
    if "://" not in text:
        return URL.create("sqlite", database=text)
    shown = without_password(text)
    # A name of the scheme that other programs use.
    address = re.sub(r"^postgres(?=(\+\w+)?://)", "postgresql", text)
    try:
        url = make_url(address)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(f"{shown!r} is no store: expected a path, sqlite:///FILE or postgresql://…") from None
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"{shown!r}: a store must be SQLite or PostgreSQL, got {backend!r}")
    if backend == "sqlite" and (url.host or url.username or url.port):
        raise StoreError(f"{shown!r}: the address of a file has three slashes before the path: sqlite:///FILE")
    # An @ of a password would make a part of it a host, which messages show.
    if backend == "postgresql" and text.count("@") > 1:
        raise StoreError(f"{shown!r}: in a user name or a password, write @ as %40, / as %2F and : as %3A")
    if url.drivername not in _DRIVERS:
        raise StoreError(f"{shown!r}: the driver {url.drivername!r} is not used here; write {backend}://…")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if isinstance(password := url.query.get("password"), str):
        # Where SQLAlchemy knows it for a password, it does not show it.
        url = url.difference_update_query(["password"]).set(password=url.password or password)
    return url
