"""ResourceLimits: the limits of this process by which a function could keep later ones from running."""

from __future__ import annotations

import resource
from typing import Final

#: Those of opening, writing, computing, allocating and starting processes.
_LIMITS: Final = (
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_CPU,
    resource.RLIMIT_AS,
    resource.RLIMIT_DATA,
    resource.RLIMIT_STACK,
    resource.RLIMIT_NPROC,
)


class ResourceLimits:
    """The limits now, to which `restore` returns."""

    def __init__(self) -> None:
        self._limits = tuple((limit, resource.getrlimit(limit)) for limit in _LIMITS)

    def are_kept(self) -> bool:
        """Whether all are as they were."""
        return all(resource.getrlimit(limit) == value for limit, value in self._limits)

    def restore(self) -> bool:
        """Put them back; returns False where one was lowered for good, which only root can raise again."""
        is_same = True
        for limit, value in self._limits:
            if resource.getrlimit(limit) != value:
                try:
                    resource.setrlimit(limit, value)
                except (OSError, ValueError):
                    is_same = False
        return is_same
