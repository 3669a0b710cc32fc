"""Later, a room of this package that is imported when something in it is first used.

An import statement within a function would do as well, but costs microseconds whenever it is run.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Later:
    """Stands for a module; what was once asked of it is at hand from then on."""

    def __init__(self, module: str) -> None:
        self.module = f"{__package__}.{module}"

    def __getattr__(self, name: str) -> Any:
        found = getattr(__import__(self.module, fromlist=[name]), name)
        setattr(self, name, found)
        return found
