"""Lazy, a module of this package that is imported when something in it is first used.

An import statement within a function would do, but costs microseconds each time it is executed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Lazy:
    """Stands for a module. What is read from it is kept as an attribute, so that the next access is a plain one.

    It has no `__file__` and the like: programs that read these of every module, as reloaders do, import nothing.
    """

    def __init__(self, module: str) -> None:
        self.module = f"{__package__}.{module}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(__import__(self.module, fromlist=[name]), name)
        setattr(self, name, value)
        return value
