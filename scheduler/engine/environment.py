"""The environment variables of the LeanEngine runtime, read when used and never at import.

Lives here: the names, the old names, and which environment this process serves. Never here: a cached value.
"""

from __future__ import annotations

import os

PREFIXES = ("LEANCLOUD_", "LC_")
ENVIRONMENTS = DEVELOPMENT, STAGE, PRODUCTION = "development", "stage", "production"


def variable(name: str) -> str | None:
    """The value of `LEANCLOUD_<name>`, else of the old `LC_<name>`; an empty value counts as none."""
    for prefix in PREFIXES:
        if value := os.environ.get(prefix + name):
            return value
    return None


def app_environment() -> str | None:
    """`development`, `stage` or `production` from `APP_ENV`, else from the old `LC_APP_PROD` (1 or 0), else None."""
    return variable("APP_ENV") or {"1": PRODUCTION, "0": STAGE}.get(variable("APP_PROD") or "")
