"""Cloud functions: the registry that names them, and how one is bound to its parameters and called."""

from .binding import bind
from .calling import invoke
from .registry import Registry, TimerDeclaration

__all__ = ["Registry", "TimerDeclaration", "bind", "invoke"]
