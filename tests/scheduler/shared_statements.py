"""The SQL of statements, for all stores of a process of tests: each store has an engine, which would compile them anew.

Thousands of tests make a store and execute some forty statements; to compile them takes more than to execute them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, MutableMapping
from typing import Any

import sqlalchemy
from sqlalchemy import Dialect, Engine

#: Statements that are made of data, such as a list of ids, are as many as the tests make.
_MOST = 3_000
_compiled: dict[Hashable, Any] = {}


class SharedStatements(MutableMapping[tuple[Any, ...], Any]):
    """A cache of an engine: its keys begin with the dialect, of which each engine has its own."""

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        return _compiled[_of_any_engine(key)]

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        if len(_compiled) >= _MOST:
            _compiled.clear()
        _compiled[_of_any_engine(key)] = compiled

    def __delitem__(self, key: tuple[Any, ...]) -> None:
        del _compiled[_of_any_engine(key)]

    def __iter__(self) -> Iterator[Any]:
        return iter(_compiled)

    def __len__(self) -> int:
        return len(_compiled)


def create_engine(url: Any, *, execution_options: dict[str, Any], **options: Any) -> Engine:
    """Do what SQLAlchemy's function of this name does, with a cache that engines share."""
    options_with_cache = {**execution_options, "compiled_cache": SharedStatements()}
    return sqlalchemy.create_engine(url, execution_options=options_with_cache, **options)


def _of_any_engine(key: tuple[Any, ...]) -> Hashable:
    """Two dialects compile alike where they are of one class, for one style of parameters and version of the server."""
    return tuple(
        (type(part), part.paramstyle, getattr(part, "server_version_info", None)) if isinstance(part, Dialect) else part
        for part in key
    )
