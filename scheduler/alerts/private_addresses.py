"""Resolves the host of an address, and refuses private addresses: loopback, link-local, networks of a company.

The connection is made to the address that was checked, so a name that resolves differently the next time leads nowhere
else.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from ..errors import ConfigError

#: The IPv4 address is in the last 32 bits (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")
#: Threads of their own: a server of names that does not answer keeps one for half a minute, and the store must not wait
#: for it.
_lookups = ThreadPoolExecutor(32, thread_name_prefix="lookup")
#: What is being looked up, so that one name keeps one thread at most.
_under_way: dict[tuple[str, int], Future[list[str]]] = {}


class PrivateAddressError(ConfigError):
    """The host of an address is, or resolves to, a private address."""


def is_private(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is not on the public internet, or is an IPv6 form of such an IPv4 address.

    >>> [is_private(ip_address(text)) for text in ("1.1.1.1", "10.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "fec0::1")]
    [False, True, True, True, True]
    """
    if isinstance(address, IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            embedded.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if any(one is not None and is_private(one) for one in embedded):
            return True
        if address.ipv4_mapped is not None:
            return False
        if address.is_site_local:
            return True
    return not address.is_global or address.is_multicast or address.is_reserved


def private_host(url: str | None) -> str | None:
    """The host of an address if it can be seen to be private: localhost, or an address in numbers; else None.

    >>> private_host("http://169.254.169.254/x"), private_host("http://[::1]:8/"), private_host("https://hc-ping.com/1")
    ('169.254.169.254', '::1', None)
    """
    host = urlsplit(url or "").hostname
    if host is None or host.rstrip(".") == "localhost":
        return host
    try:
        return host if is_private(ip_address(host)) else None
    except ValueError:  # a name, which is resolved for each request
        return None


def unsent_ping(url: str | None) -> str | None:
    """Why a daemon that may not ping private addresses sends no ping there; None if it may be sent."""
    host = private_host(url)
    advice = "no ping is sent unless the service has ping_private = true in its scheduler.toml"
    return None if host is None else f"{host} of its ping_url is a private address; {advice}"


async def resolved(host: str, port: int, *, allow_private: bool) -> str:
    """The address to connect to; PrivateAddressError if all of the host's are private, OSError if it has none.

    Names, decimal and hexadecimal forms are resolved as a connection would do it.
    """
    try:
        addresses = [ip_address(text) for text in await _looked_up(host, port)]
    except UnicodeError as error:
        raise OSError(f"{host!r:.80} is no name of a host") from error
    if allow_private and addresses:
        return str(addresses[0])
    public = [address for address in addresses if not is_private(address)]
    if not public:
        raise PrivateAddressError(f"{host} is a private address, {', '.join(sorted({str(a) for a in addresses}))}")
    return str(public[0])


async def _looked_up(host: str, port: int) -> list[str]:
    """The addresses of a host; concurrent requests for one host share the lookup."""
    key = host, port
    if (lookup := _under_way.get(key)) is None:
        lookup = _under_way[key] = _lookups.submit(_addresses, host, port)
        lookup.add_done_callback(lambda _: _under_way.pop(key, None))
    # Shielded: the deadline of one request must not cancel the lookup for the others.
    return await asyncio.shield(asyncio.wrap_future(lookup))


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]).partition("%")[0] for info in found]
