"""TransactionWatch: the callbacks around each operation of the store, which may block its thread."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection


class TransactionWatch(Protocol):
    """A context manager around an operation of the store, which may block its thread."""

    def __enter__(self) -> None:
        """The operation begins."""
        ...

    def uses(self, connection: Connection) -> None:
        """It has a connection, whose statement `Store.cut` interrupts."""
        ...

    def __exit__(self, *exc_info: object) -> None:
        """The operation has ended, with or without an error."""
        ...


class Unwatched:
    def __enter__(self) -> None:
        pass

    def uses(self, connection: Connection) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        pass
