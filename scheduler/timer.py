"""Timer, its triggers and its policies, by the names under which programs import them."""

from .core.admission import OverlapPolicy
from .core.misfire import MisfirePolicy
from .core.timer import Delivery, Environment, Timer
from .core.triggers import Cron, Every, Trigger, TriggerOption

__all__ = [
    "Cron",
    "Delivery",
    "Environment",
    "Every",
    "MisfirePolicy",
    "OverlapPolicy",
    "Timer",
    "Trigger",
    "TriggerOption",
]
