"""Refuses environment variables that look like a setting but are not one, like misspelt names in the file.

Never here: variables of settings (settings.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..errors import ConfigError
from ..executors import kinds
from .setting_table import settings_with_executors
from .suggestions import did_you_mean

_PREFIX = "SCHEDULER_"
#: Variables that our processes set for their children, and that our fault tests use.
_OWN = re.compile(r"SCHEDULER_(HANDOVER|HANDED_ON|WORKER|DEMO_FOLDER|FAULTS|CHAOS_\w+)")
#: Kubernetes and Docker set these in containers beside a service that is called `scheduler`.
_OF_A_SERVICE = re.compile(r"SCHEDULER_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?|NAME|ENV_\w+)")


def is_of_a_service(variable: str, value: str) -> bool:
    """Whether a variable describes another service: `SCHEDULER_PORT` itself then has an address as its value."""
    if variable == f"{_PREFIX}PORT":
        return re.match(r"(tcp|udp|sctp)://", value) is not None
    return _OF_A_SERVICE.fullmatch(variable) is not None


def check_variables(environ: Mapping[str, str], known: Iterable[str]) -> None:
    """ConfigError for a variable `SCHEDULER_…` that is not in `known`, the variables of the settings."""
    known = set(known)
    unknown = [name for name in environ if name.startswith(_PREFIX) and name not in known]
    unknown = [name for name in unknown if not (_OWN.fullmatch(name) or is_of_a_service(name, environ[name]))]
    if not unknown:
        return
    # Settings of an executor from another package: it may be named in another folder's scheduler.toml.
    for setting in settings_with_executors(kinds.kind_names()).values():
        known.update(setting.variables)
    for name in sorted(set(unknown) - known):
        # Without the prefix, because it would make any two names similar.
        bare = {variable.removeprefix(_PREFIX): variable for variable in known}
        similar = did_you_mean(name.removeprefix(_PREFIX), bare).replace("'", f"'{_PREFIX}", 1)
        hint = similar or "docs/settings.md lists the settings; unset it, or rename another program's"
        raise ConfigError(f"the environment variable {name}: unknown setting; {hint}")
