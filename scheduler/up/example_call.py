"""A shell command that calls a function, in the form of LeanEngine's guide."""

from __future__ import annotations

import re
import shlex
from urllib.parse import quote

from ..engine.credentials import Keys
from ..errors import ArgumentError
from ..functions.binding import bind
from ..functions.registry import Registry


def example_function(registry: Registry) -> str | None:
    """The function to call: `hello`, or the first one without required parameters, or the first one; None if none."""
    defined = registry.defined_names()
    names = [name for name in defined if _needs_no_parameters(registry, name)] or defined
    return "hello" if "hello" in names else next(iter(names), None)


def _needs_no_parameters(registry: Registry, name: str) -> bool:
    try:
        bind(registry.get(name), {})
    except ArgumentError:
        return False
    return True


def curl(url: str, keys: Keys, function: str) -> str:
    """A command that works when pasted into a shell."""
    return _curl(url, keys, _header("X-LC-Key", keys.app_key or ""), function)


def curl_without_key(url: str, keys: Keys, function: str) -> str:
    """The same for a log, which must not contain the key: the shell inserts it from LEANCLOUD_APP_KEY."""
    return _curl(url, keys, '"X-LC-Key: $LEANCLOUD_APP_KEY"', function)


def _curl(url: str, keys: Keys, key_header: str, function: str) -> str:
    words = [
        "curl -X POST",
        f"-H {_header('X-LC-Id', keys.app_id or '')}",
        f"-H {key_header}",
        f"-H {_header('Content-Type', 'application/json')}",
        "-d '{}'",
        shlex.quote(f"{url}/1.1/functions/{quote(function, safe='')}"),
    ]
    return " ".join(words)


#: Values that a shell reads unchanged inside double quotes.
_SAFE_IN_QUOTES = re.compile(r"[\w.:/+=,@-]*", re.ASCII)


def _header(name: str, value: str) -> str:
    text = f"{name}: {value}"
    return f'"{text}"' if _SAFE_IN_QUOTES.fullmatch(value) else shlex.quote(text)
