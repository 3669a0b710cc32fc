"""TransactionWatch: is notified when a thread begins and ends an operation of the store, which may block it."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection


class TransactionWatch(Protocol):
    """Is told when a thread turns to the store, which may keep it waiting, and when it is back."""

    def __enter__(self) -> None:
        """The thread turns to the store."""
        ...

    def uses(self, connection: Connection) -> None:
        """It has a connection, whose statements `Store.cut` ends."""
        ...

    def __exit__(self, *exc_info: object) -> None:
        """It is back, with or without an error."""
        ...


class Unwatched:
    def __enter__(self) -> None:
        pass

    def uses(self, connection: Connection) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        pass
