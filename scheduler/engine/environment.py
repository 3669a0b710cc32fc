"""The environment variables of the LeanEngine runtime, read when used and never at import.

Lives here: the names, the old names, and the environment that this process serves. Never here: cached values.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

PREFIXES = ("LEANCLOUD_", "LC_")
ENVIRONMENTS = DEVELOPMENT, STAGE, PRODUCTION = "development", "stage", "production"
#: The variables that a function sees, without their prefixes.
NAMES = ("APP_ID", "APP_KEY", "APP_MASTER_KEY", "APP_HOOK_KEY", "APP_ENV", "APP_PORT", "APP_INSTANCE")
_PROD_CODES = {PRODUCTION: "1", STAGE: "0"}
_ENVIRONMENTS_OF_CODES = {code: environment for environment, code in _PROD_CODES.items()}


def variable(name: str) -> str | None:
    """The value of `LEANCLOUD_<name>`, else of the old `LC_<name>`; an empty value counts as none."""
    for prefix in PREFIXES:
        if value := os.environ.get(prefix + name):
            return value
    return None


def set_under_both_prefixes(environ: MutableMapping[str, str]) -> None:
    """Set each variable of the runtime under its other name too, and `LC_APP_PROD`, which old code reads."""
    for name in NAMES:
        if value := environ.get(PREFIXES[0] + name) or environ.get(PREFIXES[1] + name):
            environ.update({prefix + name: value for prefix in PREFIXES})
    if code := _PROD_CODES.get(environ.get("LC_APP_ENV", "")):
        environ["LC_APP_PROD"] = code


def variables_of(environment: str) -> dict[str, str]:
    """The variables that set the environment of a process, under both prefixes."""
    variables = {"LEANCLOUD_APP_ENV": environment}
    set_under_both_prefixes(variables)
    return variables


def app_environment() -> str | None:
    """`development`, `stage` or `production` from `APP_ENV`, else from the old `LC_APP_PROD` (1 or 0), else None."""
    return variable("APP_ENV") or _ENVIRONMENTS_OF_CODES.get(variable("APP_PROD") or "")
