"""The table of settings: their names, how their values are parsed, and the environment variables that set them.

Lives here: one row for each setting; those of executors come from the table of executor kinds. Never here: reading
values, and the effect of a setting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from ..core.addresses import is_of_libpq
from ..default_rules import LEANCLOUD, STANDARD
from ..default_rules import VARIABLE as RULES_VARIABLE
from ..executors import kinds
from ..executors.kinds import ExecutorKind
from .alert_settings import read_alerts

DURABILITIES = ("power", "process")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
ENVIRONMENTS = ("production", "stage")
RULES = (LEANCLOUD, STANDARD)
CONSOLE_LANGUAGES = ("en", "zh")
#: What can be hidden from viewers of the console.
CONSOLE_HIDES = ("params", "results", "lines")
#: The environment on a developer's machine: LEANCLOUD_APP_ENV has this value, as under LeanCloud's tools, and the
#: timers of both environments fire.
DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is parsed, and the environment variables that set it, the strongest first."""

    parse: Callable[[object], Any]
    variables: tuple[str, ...]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected text that is not blank")
    return value


def _store(value: object) -> str:
    text = _text(value)
    if is_of_libpq(text):
        raise ValueError("expected a path or postgresql://USER@HOST/DATABASE, not libpq's names and values")
    return text


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        word = value.lower() if isinstance(value, str) else value
        if word not in choices:
            raise ValueError(f"expected {' or '.join(choices)}")
        return str(word)

    return parse


def _truth(value: object) -> bool:
    truth = {"true": True, "false": False}.get(str(value).lower())
    if truth is None:
        raise ValueError("expected true or false")
    return truth


def _networks(value: object) -> tuple[str, ...]:
    """Addresses and networks."""
    given = _words()(value)
    for word in given:
        try:
            ip_network(word, strict=False)
        except ValueError:
            raise ValueError(f"expected addresses or networks, as in 10.0.0.0/8, got {word!r:.60}") from None
    return given


def _words(*choices: str) -> Callable[[object], tuple[str, ...]]:
    """Words of a list, or of a text in which commas separate them; any words if there are no choices."""

    def parse(value: object) -> tuple[str, ...]:
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list | tuple) or not all(isinstance(word, str) for word in given):
            raise ValueError("expected a list of texts")
        words = tuple(dict.fromkeys(word.strip().lower() for word in given if word.strip()))
        if choices and not set(words) <= set(choices):
            raise ValueError(f"expected some of {', '.join(choices)}")
        return words

    return parse


def _host_names(value: object) -> tuple[str, ...]:
    """Names of hosts as browsers send them: in lower case, other characters than ASCII in punycode."""
    try:
        names = tuple(name.encode("idna").decode() for name in _words()(value))
    except UnicodeError:
        names = ("",)
    if not all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in names):
        raise ValueError("expected names of hosts without a scheme, a port and a path, as in timers.example.com")
    return names


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        try:
            number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high:,}")
        return number

    return parse


def _seconds(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number <= 86_400:
        raise ValueError("expected a number of seconds, more than 0 and at most 86400")
    return number


def _zone(value: object) -> str:
    from quartzcron import CronError, CronExpression

    try:
        CronExpression("0 0 0 * * ?", tz=_text(value))
    except CronError as error:
        raise ValueError(str(error)) from error
    return str(value)


def _executor(value: object) -> str:
    # Kinds of other packages are looked up only if needed.
    if value not in list(kinds.KINDS) and value not in kinds.kind_names():
        raise ValueError(f"expected {' or '.join(kinds.kind_names())}")
    return str(value)


def settings_of_kind(kind: ExecutorKind) -> dict[str, Setting]:
    """The settings of a kind of executor, by their full names, for both environments and for each one."""
    settings = {}
    for setting in kind.settings:
        parse = _whole(*setting.bounds) if setting.bounds else _text
        for prefix in ("", *(f"{environment}_" for environment in ENVIRONMENTS if setting.is_of_environment)):
            name = f"{prefix}{setting.name}"
            settings[name] = Setting(parse, (f"SCHEDULER_{name}".upper(),))
    return settings


#: The settings of the executors in the table, by name.
EXECUTOR_SETTINGS = {setting.name: setting for kind in kinds.KINDS.values() for setting in kind.settings}
#: All settings, except those of executors from other packages.
SETTINGS: Mapping[str, Setting] = {
    "target": Setting(_text, ("SCHEDULER_TARGET",)),
    "store": Setting(_store, ("SCHEDULER_STORE",)),
    "durability": Setting(_one_of(*DURABILITIES), ("SCHEDULER_DURABILITY",)),
    "store_timeout_s": Setting(_seconds, ("SCHEDULER_STORE_TIMEOUT_S",)),
    "host": Setting(_text, ("SCHEDULER_HOST",)),
    "port": Setting(_whole(0, 65_535), ("LEANCLOUD_APP_PORT", "LC_APP_PORT", "SCHEDULER_PORT")),
    "environment": Setting(
        _one_of(*ENVIRONMENTS, DEVELOPMENT),
        ("LEANCLOUD_APP_ENV", "LC_APP_ENV", "LEANCLOUD_APP_PROD", "LC_APP_PROD", "SCHEDULER_ENVIRONMENT"),
    ),
    "rules": Setting(_one_of(*RULES), (RULES_VARIABLE,)),
    "tz": Setting(_zone, ("SCHEDULER_TZ",)),
    "max_timers": Setting(_whole(0, 1_000_000), ("SCHEDULER_MAX_TIMERS",)),
    "limit_s": Setting(_seconds, ("SCHEDULER_LIMIT_S",)),
    "keep_days": Setting(_whole(1, 36_500), ("SCHEDULER_KEEP_DAYS",)),
    "keep_runs": Setting(_whole(0, 1_000_000_000), ("SCHEDULER_KEEP_RUNS",)),
    "log_level": Setting(_one_of(*LOG_LEVELS), ("SCHEDULER_LOG_LEVEL",)),
    "log_format": Setting(_one_of(*LOG_FORMATS), ("SCHEDULER_LOG_FORMAT",)),
    "metrics_port": Setting(_whole(0, 65_535), ("SCHEDULER_METRICS_PORT",)),
    "metrics_host": Setting(_text, ("SCHEDULER_METRICS_HOST",)),
    "dotenv": Setting(_truth, ("SCHEDULER_DOTENV",)),
    "console": Setting(_truth, ("SCHEDULER_CONSOLE",)),
    "console_host": Setting(_text, ("SCHEDULER_CONSOLE_HOST",)),
    "console_port": Setting(_whole(0, 65_535), ("SCHEDULER_CONSOLE_PORT",)),
    "console_hosts": Setting(_host_names, ("SCHEDULER_CONSOLE_HOSTS",)),
    "console_language": Setting(_one_of(*CONSOLE_LANGUAGES), ("SCHEDULER_CONSOLE_LANGUAGE",)),
    "console_proxies": Setting(_networks, ("SCHEDULER_CONSOLE_PROXIES",)),
    "console_user_header": Setting(_text, ("SCHEDULER_CONSOLE_USER_HEADER",)),
    "console_operators": Setting(_words(), ("SCHEDULER_CONSOLE_OPERATORS",)),
    "console_hide": Setting(_words(*CONSOLE_HIDES), ("SCHEDULER_CONSOLE_HIDE",)),
    # In the file only: tables do not fit into a variable.
    "alerts": Setting(read_alerts, ()),
    "ping_private": Setting(_truth, ("SCHEDULER_PING_PRIVATE",)),
    "processes": Setting(_one_of("several", "one"), ("SCHEDULER_PROCESSES",)),
    "web_processes": Setting(_whole(1, 64), ("SCHEDULER_WEB_PROCESSES",)),
    "web_memory_mb": Setting(_whole(0, 1_000_000), ("SCHEDULER_WEB_MEMORY_MB",)),
    "stop_timeout_s": Setting(_seconds, ("SCHEDULER_STOP_TIMEOUT_S",)),
    "executor": Setting(_executor, ("SCHEDULER_EXECUTOR",)),
    "production_executor": Setting(_executor, ("SCHEDULER_PRODUCTION_EXECUTOR",)),
    "production_target": Setting(_text, ("SCHEDULER_PRODUCTION_TARGET",)),
    "stage_executor": Setting(_executor, ("SCHEDULER_STAGE_EXECUTOR",)),
    "stage_target": Setting(_text, ("SCHEDULER_STAGE_TARGET",)),
    **{name: setting for kind in kinds.KINDS.values() for name, setting in settings_of_kind(kind).items()},
}


def settings_with_executors(names: Iterable[object]) -> dict[str, Setting]:
    """SETTINGS, and the settings of the named executors that come from other packages."""
    table = dict(SETTINGS)
    for name in {name for name in names if isinstance(name, str)} - kinds.KINDS.keys():
        if name in kinds.kind_names():
            table |= settings_of_kind(kinds.kind(name))
    return table
