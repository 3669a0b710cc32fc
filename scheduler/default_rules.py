"""The default rules for zones and quotas: LeanCloud's, or standard ones.

    rules        a timer that names no zone                most timers of an environment
    leancloud    Asia/Shanghai                             five
    standard     the zone of this machine; else UTC        no limit

`rules` in scheduler.toml or SCHEDULER_RULES selects them. Without either, LeanCloud's rules apply if one of its
variables is in the environment, LEANCLOUD_… or LC_APP_…, which its platform sets, and users who migrate from there.

A Cron without a zone uses them when it is made; computing fire times does not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

LEANCLOUD, STANDARD = "leancloud", "standard"
#: The environment variable that selects the rules, also for child processes, where LeanCloud's variables are set.
VARIABLE = "SCHEDULER_RULES"
#: LeanCloud's runtime is in UTC+8, and so is a timer there.
LEANCLOUD_TZ = "Asia/Shanghai"
LEANCLOUD_QUOTA = 5
#: The default in the help of an option.
DEFAULT_TZ_HELP = f"default: this machine's zone; under LeanCloud's rules {LEANCLOUD_TZ}"
DEFAULT_QUOTA_HELP = f"default: no limit; under LeanCloud's rules {LEANCLOUD_QUOTA}"

_PREFIXES = ("LEANCLOUD_", "LC_APP_")


class DefaultZone(NamedTuple):
    """The zone of a timer that names none; `whose` is its origin, as in `this machine's zone`, unless it was set."""

    name: str
    whose: str = ""
    is_of_machine: bool = False
    is_known: bool = True

    def __str__(self) -> str:
        return f"{self.name}, {self.whose}" if self.whose else self.name


def rules_in_force(environ: Mapping[str, str]) -> tuple[str, str]:
    """The rules without a setting, and why they apply."""
    if (chosen := environ.get(VARIABLE)) in (LEANCLOUD, STANDARD):
        return chosen, f"the environment variable {VARIABLE}"
    found = sorted(name for name, value in environ.items() if value and name.startswith(_PREFIXES))
    return (LEANCLOUD, f"{found[0]} is set") if found else (STANDARD, "no variable of LeanCloud is set")


def assumed_zone(rules: str | None = None) -> DefaultZone:
    """The zone of a timer that names none, under these rules or those in force; reads this machine's zone again."""
    if (rules or rules_in_force(os.environ)[0]) == LEANCLOUD:
        return DefaultZone(LEANCLOUD_TZ, "LeanCloud's zone")
    from quartzcron.zones.lookup import local_zone_name

    name, is_known = local_zone_name()
    if is_known:
        return DefaultZone(name, "this machine's zone", is_of_machine=True)
    where = f"TZ = {os.environ['TZ']!r:.60}, {_hint(os.environ['TZ'])}" if os.environ.get("TZ") else "/etc/localtime"
    whose = f"because this machine's zone is not known ({where}); the setting tz names one"
    return DefaultZone(name, whose, is_of_machine=True, is_known=False)


def _hint(tz: str) -> str:
    from quartzcron.zones.zone_hints import zone_hint

    return zone_hint(tz)


def assumed_tz() -> str:
    """The name of `assumed_zone`."""
    return assumed_zone().name


def assumed_quota(rules: str | None = None) -> int:
    """The default for the most timers of an environment; 0 = no limit."""
    return LEANCLOUD_QUOTA if (rules or rules_in_force(os.environ)[0]) == LEANCLOUD else 0
