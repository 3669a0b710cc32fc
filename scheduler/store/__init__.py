"""The store: the database, its tables, and everything that is read from them or written into them."""

from .database import Store

__all__ = ["Store"]
