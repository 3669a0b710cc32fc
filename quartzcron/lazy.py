"""Lazy, a module of this package that is imported when something in it is first used.

An import statement within a function would do, but costs microseconds each time it is executed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Lazy:
    """A proxy of a module. It stores each value that is read as an attribute, so that the next access is direct.

    It has no `__file__` and the like, so that programs that read these of every module, as reloaders do, import
    nothing.
    """

    def __init__(self, module: str) -> None:
        self.module = f"{__package__}.{module}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(__import__(self.module, fromlist=[name]), name)
        setattr(self, name, value)
        return value
