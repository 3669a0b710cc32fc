"""The store: the database, its tables, and everything that is read from them or written into them.

docs/files.md says what each file holds.

The classes of both databases are imported here, so that `Store(url)` finds them.
"""

from .database import Store
from .postgres import PostgresStore
from .sqlite import SqliteStore

__all__ = ["PostgresStore", "SqliteStore", "Store"]
