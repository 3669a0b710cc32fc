"""The settings [[alerts]]: reads them as rules; an error names the rule that is wrong, and the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..core.alerts import AlertRule, check_rules
from ..errors import ConfigError
from .suggestions import did_you_mean

NAMES = tuple(attribute.name for attribute in fields(AlertRule))


def read_alerts(given: object) -> tuple[AlertRule, ...]:
    """The rules of the tables [[alerts]]; a rule without a name is named by its number.

    ValueError, which shows no secret, for an invalid one.
    """
    if not isinstance(given, list | tuple) or not all(isinstance(table, Mapping) for table in given):
        raise ValueError("expected tables, each under a heading [[alerts]]")
    rules = tuple(_rule(table, number) for number, table in enumerate(given, start=1))
    check_rules(rules)
    return rules


def _rule(table: Mapping[str, Any], number: int) -> AlertRule:
    values = {"name": str(number), **table}
    # Its own name, where that is one.
    which = f"alert {number}" if "name" not in table else f"alert {table['name']!r:.80}"
    for name in values:
        if name not in NAMES:
            all_names = f"the settings are {', '.join(NAMES)}; those of the service go above the first [[alerts]]"
            hint = did_you_mean(name, NAMES) or all_names
            raise ConfigError(f"{which}: unknown setting {name!r:.80}; {hint}")
    try:
        return AlertRule(**values)
    except ConfigError as error:
        raise ConfigError(f"{which}: {error}") from None
