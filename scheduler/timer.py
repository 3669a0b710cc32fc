"""Timer, its triggers and its policies, by the names under which programs import them."""

from .core.timer import Delivery, Environment, MisfirePolicy, OverlapPolicy, Timer
from .core.triggers import Cron, Every, Trigger

__all__ = ["Cron", "Delivery", "Environment", "Every", "MisfirePolicy", "OverlapPolicy", "Timer", "Trigger"]
