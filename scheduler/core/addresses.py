"""Addresses of databases, brokers and engines as messages show them: without passwords and tokens."""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"
#: In these addresses the user may be a token.
_TAKE_TOKENS = ("http", "https")
#: Parameters of an address that are secrets, and those of libpq's `key=value` form.
_SECRET = re.compile(r"([?&;\s][^=&;\s]*(?:pass|pwd|secret|token|credential|key)[^=&;\s]*=)[^&;\s]*", re.IGNORECASE)
_LIBPQ = re.compile(
    r"\s*(?:(?:dbname|password)\s*=|(?:(?:host|hostaddr|port|user|service)\s*=\s*\S+\s+)+(?:dbname|password|user|port)\s*=)"
)


def is_of_libpq(address: str) -> bool:
    """Whether an address has libpq's other form, `host=… dbname=…`, which a store could take for the name of a file."""
    return _LIBPQ.match(address) is not None


def without_password(address: str) -> str:
    """An address without its password, whatever characters that has; other text is returned unchanged.

    >>> without_password("postgresql://app:pass/word@db.example:5432/d?sslpassword=x")
    'postgresql://app:***@db.example:5432/d?sslpassword=***'
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return HIDDEN if is_of_libpq(address) else address
    if rest.count("@") > 1:
        # An unencoded password may contain any character, so its end is unknown.
        return f"{scheme}://{HIDDEN}"
    user_info, at, location = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    if at and scheme.lower() in _TAKE_TOKENS:
        shown = f"{HIDDEN}@{location}"
    elif colon:
        shown = f"{user}:{HIDDEN}@{location}"
    else:
        shown = rest
    return f"{scheme}://" + _SECRET.sub(_hidden, shown)


def _hidden(parameter: re.Match[str]) -> str:
    return f"{parameter.group(1)}{HIDDEN}"


def hide_passwords(text: str, address: str) -> str:
    """A message of another program without the passwords of an address that it may quote.

    >>> hide_passwords('cannot connect to "redis://:s3cret@h"', "redis://:s3cret@h")
    'cannot connect to "redis://:***@h"'
    """
    text = text.replace(address, without_password(address))
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(address: str) -> set[str]:
    """The secrets of an address, in every form."""
    scheme, _, rest = address.partition("://")
    user_info = rest.rpartition("@")[0]
    parameters = {match.group(0)[len(match.group(1)) :] for match in _SECRET.finditer(rest)}
    found = {user_info.partition(":")[2], *parameters}
    if scheme.lower() in _TAKE_TOKENS:
        found.add(user_info)
    return {form for secret in found for form in (secret, unquote(secret)) if len(form) > 2}
