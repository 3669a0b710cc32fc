"""The public names of Timer, its triggers and its policies.

Trigger, TriggerOption, TZ and DST are for packages that add a kind of trigger (core/trigger_kinds.py).
"""

from .core.any_of import AnyOf
from .core.at import At
from .core.calendrical import Calendrical
from .core.misfire import MisfirePolicy
from .core.overlap import OverlapPolicy
from .core.rrule import RRule
from .core.timer import Delivery, Environment, Timer
from .core.triggers import DST, TZ, Cron, Every, Trigger, TriggerOption

__all__ = [
    "DST",
    "TZ",
    "AnyOf",
    "At",
    "Calendrical",
    "Cron",
    "Delivery",
    "Environment",
    "Every",
    "MisfirePolicy",
    "OverlapPolicy",
    "RRule",
    "Timer",
    "Trigger",
    "TriggerOption",
]
