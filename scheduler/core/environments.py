"""Environment, the deployment of the functions that a timer calls, and the words by which lists name it. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from ..errors import shown


class Environment(StrEnum):
    """The deployment whose functions a timer calls; each environment has names of its own for its timers."""

    PRODUCTION = "production"
    STAGE = "stage"


#: Our words for the environments, and LeanCloud's.
ENVIRONMENTS = {
    "production": Environment.PRODUCTION,
    "prod": Environment.PRODUCTION,
    "1": Environment.PRODUCTION,
    "生产环境": Environment.PRODUCTION,
    "stage": Environment.STAGE,
    "staging": Environment.STAGE,
    "0": Environment.STAGE,
    "预备环境": Environment.STAGE,
}
#: The words of LeanCloud's console: a list that contains them comes from there.
CONSOLE_WORDS = frozenset({"生产环境", "预备环境"})


def read_environment(value: Any) -> Environment:
    """The environment of a word; ValueError for any other text."""
    environment = ENVIRONMENTS.get(str(value).strip().lower())
    if environment is None:
        raise ValueError(f"expected production or stage, got {shown(value)}")
    return environment
