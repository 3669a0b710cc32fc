"""Cloud functions: the registry, binding arguments, and calling.

`Registry` contains functions by name, hooks by class and event, and the timers declared beside functions. `bind` checks
and coerces the arguments of a function; `invoke` binds and calls it.
"""

from .binding import bind
from .calling import invoke
from .registry import Registry, TimerDeclaration

__all__ = ["Registry", "TimerDeclaration", "bind", "invoke"]
