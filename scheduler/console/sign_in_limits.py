"""SignInLimits: the most failed attempts to sign in from one address, a minute, an hour and a day."""

from __future__ import annotations

import math
import time
from ipaddress import IPv6Address, ip_address, ip_network

from limits import RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

#: With several spans, an address that goes on has to wait longer and longer.
_LIMITS = (RateLimitItemPerMinute(10), RateLimitItemPerHour(60), RateLimitItemPerDay(200))
#: One client usually has all addresses of such a network.
_IPV6_PREFIX = 64


class SignInLimits:
    """The failures of the last day, in memory. Each address has its own: one that fails locks out no other one."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def wait_s(self, address: str) -> int:
        """How many seconds an address has to wait for its next attempt; 0 if it may try now."""
        client = _client(address)
        full = [limit for limit in _LIMITS if not self._limiter.test(limit, client)]
        if not full:
            return 0
        ends = max(self._limiter.get_window_stats(limit, client).reset_time for limit in full)
        return max(1, math.ceil(ends - time.time()))

    def failed(self, address: str) -> None:
        """Count a failure; one during a wait is none."""
        client = _client(address)
        if all(self._limiter.test(limit, client) for limit in _LIMITS):
            for limit in _LIMITS:
                self._limiter.hit(limit, client)


def _client(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or ip_network((parsed.packed, _IPV6_PREFIX), strict=False))
