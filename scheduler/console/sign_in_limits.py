"""SignInLimits: the most failed attempts to sign in a minute, from one address and in total."""

from __future__ import annotations

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

_OF_ADDRESS, _OF_ALL = RateLimitItemPerMinute(10), RateLimitItemPerMinute(100)


class SignInLimits:
    """The failures of the last minute, in memory."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def may_try(self, address: str) -> bool:
        """Whether another attempt from an address is allowed."""
        return self._limiter.test(_OF_ADDRESS, address) and self._limiter.test(_OF_ALL, "all")

    def failed(self, address: str) -> None:
        """Count a failure."""
        self._limiter.hit(_OF_ADDRESS, address)
        self._limiter.hit(_OF_ALL, "all")
