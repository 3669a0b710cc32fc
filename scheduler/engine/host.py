"""Checks the Host of a request: whether it is valid, and whether it can be this machine's.

Lives here: rules without I/O. Never here: refusing requests.
"""

from __future__ import annotations

import re

#: A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_IP_ADDRESS = re.compile(r"\[.*\]|\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)


def is_host(text: str) -> bool:
    """Whether a text is one valid Host.

    >>> is_host("shop.example:3000"), is_host("[::1]:80"), is_host("a.example, b.example"), is_host("a@b/c")
    (True, True, False, False)
    """
    return _HOST.fullmatch(text) is not None


def is_local(host: str, own_names: frozenset[str]) -> bool:
    """Whether a Host can be meant for this machine: an address, a name without a dot, or one of its own names.

    In a DNS rebinding attack, a page on the web reaches this machine by a name of its own that resolves to it.

    >>> is_local("127.0.0.1:90", frozenset()), is_local("localhost", frozenset()), is_local("evil.example", frozenset())
    (True, True, False)
    """
    if not is_host(host):
        return False
    name = host if host.endswith("]") else re.sub(r":\d+$", "", host)
    name = name.lower().rstrip(".")
    return (
        "." not in name or _IP_ADDRESS.fullmatch(name) is not None or name in own_names or name.endswith(".localhost")
    )
