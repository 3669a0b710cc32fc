"""parse_url: converts the address of a store, as users write it, to the URL that SQLAlchemy opens."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..core.addresses import is_of_libpq, without_password
from ..errors import StoreError

_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")


def parse_url(address: str | os.PathLike[str]) -> URL:
    """The URL of an address; a bare path means a SQLite file. StoreError for an address that is not a store's."""
    text = os.fspath(address) if isinstance(address, os.PathLike) else address
    if not isinstance(text, str):
        raise StoreError(f"a store must be a path, sqlite:///FILE or postgresql://…, got {type(text).__name__}")
    if not text.strip():  # which SQLite takes for a store in memory
        raise StoreError("a store needs the path of a file, or an address; got an empty text")
    if is_of_libpq(text):
        raise StoreError("a store is postgresql://USER@HOST/DATABASE or a path, not libpq's names and values")
    if "://" not in text:
        return URL.create("sqlite", database=text)
    shown = without_password(text)
    # Other programs write the scheme like this.
    corrected = re.sub(r"^postgres(?=(\+\w+)?://)", "postgresql", text)
    try:
        url = make_url(corrected)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(f"{shown!r} is not a store: expected a path, sqlite:///FILE or postgresql://…") from None
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"{shown!r}: a store must be SQLite or PostgreSQL, got {backend!r}")
    if backend == "sqlite" and (url.host or url.username or url.port):
        raise StoreError(f"{shown!r}: the address of a file has three slashes before the path: sqlite:///FILE")
    if backend == "sqlite" and url.database:
        # SQLAlchemy decodes it from version 2.1 on only.
        url = url.set(database=unquote(corrected.partition(":///")[2].partition("?")[0]))
    # An @ in a password would make a part of the password the host, which messages show.
    if backend == "postgresql" and text.count("@") > 1:
        raise StoreError(f"{shown!r}: in a user name or a password, write @ as %40, / as %2F and : as %3A")
    if url.drivername not in _DRIVERS:
        raise StoreError(f"{shown!r}: the driver {url.drivername!r} is not used here; write {backend}://…")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if isinstance(password := url.query.get("password"), str):
        # As a part of the URL, SQLAlchemy hides it.
        url = url.difference_update_query(["password"]).set(password=url.password or password)
    return url
