"""Quartz cron expressions and their fire times."""

from .errors import CronError, CronSyntaxError, PolicyError, Problem, UnknownZoneError
from .expression import CronExpression

__all__ = ["CronError", "CronExpression", "CronSyntaxError", "PolicyError", "Problem", "UnknownZoneError"]
