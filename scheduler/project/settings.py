"""Settings: reads `scheduler.toml`, environment variables and options; every value has an origin.

A command-line option overrides an environment variable, which overrides `scheduler.toml`, which overrides the default.
Lives here: the values, and reading them from their origins. Never here: the effect of a setting; the table of settings
(setting_table.py).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ..core.addresses import hide_passwords, without_password
from ..core.alerts import AlertRule
from ..default_rules import STANDARD, DefaultZone, assumed_quota, assumed_zone, rules_in_force
from ..default_rules import VARIABLE as RULES_VARIABLE
from ..errors import ConfigError
from ..executors import kinds
from ..executors.kinds import ExecutorKind, ExecutorSetting
from .data_folder import OWN_FOLDER
from .handed_on import DEFAULT, origin_handed_on, reason_handed_on
from .misspelt_variables import check_variables, is_of_a_service
from .setting_table import DEVELOPMENT, ENVIRONMENTS, EXECUTOR_SETTINGS, SETTINGS, Setting, settings_with_executors
from .small_files import small_text
from .suggestions import did_you_mean

FILE_NAME = "scheduler.toml"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """The executor of one environment; a `target` of None means the functions that `up` serves."""

    executor: str
    target: str | None
    #: The settings of the executor's kind: names and values.
    executor_settings: tuple[tuple[str, Any], ...] = ()

    @property
    def kind(self) -> ExecutorKind:
        return kinds.kind(self.executor)

    @property
    def runs_what_is_served(self) -> bool:
        """Whether the functions are those that `up` serves over HTTP."""
        return self.target is None and not self.kind.has_own_functions


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the service, with its origin; made by `read_settings`."""

    folder: Path
    target: str | None = None
    #: It may contain a password, and so may settings of executors.
    store: str = field(default=f"{OWN_FOLDER}/store.db", repr=False)
    durability: str = "power"
    store_timeout_s: float = 10.0
    host: str = "127.0.0.1"
    port: int = 3000
    environment: str = DEVELOPMENT
    rules: str = STANDARD
    #: Why these rules apply, if no setting names any.
    rules_because: str = ""
    tz: str = "UTC"
    #: The zone that is assumed if no setting names one.
    assumed_zone: DefaultZone | None = None
    max_timers: int = 0
    limit_s: float = 15.0
    keep_days: int = 30
    keep_runs: int = 0
    log_level: str = "info"
    log_format: str = "text"
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    dotenv: bool = False
    console: bool = True
    console_host: str = "127.0.0.1"
    console_port: int = 3001
    #: The names under which browsers may reach the console, besides addresses and localhost.
    console_hosts: tuple[str, ...] = ()
    console_language: str = "en"
    #: The addresses and networks of proxies that may say who a browser and its user are.
    console_proxies: tuple[str, ...] = ()
    #: The header in which they name the user, who then needs no token.
    console_user_header: str | None = None
    #: Which of these users may change things; the others are viewers.
    console_operators: tuple[str, ...] = ()
    console_hide: tuple[str, ...] = ()
    #: Their addresses and keys are secrets.
    alerts: tuple[AlertRule, ...] = field(default=(), repr=False)
    ping_private: bool = False
    processes: str = "several"
    web_processes: int = 1
    web_memory_mb: int = 2_000
    stop_timeout_s: float = 60.0
    executor: str = "process"
    production_executor: str | None = None
    production_target: str | None = None
    stage_executor: str | None = None
    stage_target: str | None = None
    #: The given values of executor settings, by their full names, such as `stage_remote_engine`.
    executor_settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def origin(self, name: str) -> str:
        """The origin of a setting's value: `the option --port`, the path of the file, `the default` …"""
        return self.origins.get(name, DEFAULT)

    def for_environment(self, environment: str) -> EnvironmentSettings:
        """The environment's own settings, or else those for both environments."""
        executor = getattr(self, f"{environment}_executor") or self.executor
        own = ((setting.name, self._value(setting, environment)) for setting in kinds.kind(executor).settings)
        return EnvironmentSettings(executor, getattr(self, f"{environment}_target"), tuple(own))

    def executor_setting(self, name: str) -> Any:
        """The value of a setting of an executor in the table, for both environments."""
        return self._value(EXECUTOR_SETTINGS[name])

    def _value(self, setting: ExecutorSetting, environment: str = "") -> Any:
        """The environment's own value, else that for both, else the default."""
        both = self.executor_settings.get(setting.name, setting.default)
        return self.executor_settings.get(f"{environment}_{setting.name}", both)

    @property
    def default_zone(self) -> DefaultZone:
        """The zone of a timer that names none."""
        return self.assumed_zone or DefaultZone(self.tz)

    @property
    def store_url(self) -> str:
        """A URL unchanged, or the absolute path; a relative path is relative to the folder of the settings."""
        if "://" in self.store:
            return self.store
        return str(self.folder / Path(self.store).expanduser())


def wants_dotenv(folder: Path, environ: Mapping[str, str]) -> bool:
    """Whether the setting `dotenv` asks for the variables of a file, which are to be set before settings are read."""
    table = {"dotenv": SETTINGS["dotenv"]}
    given = [one for one in _from_file(folder) if one.name in table]
    wanted = False
    for name, value, origin in (*given, *_from_environment(table, environ)):
        wanted = _parsed(table[name], name, value, origin)
    return wanted


def read_settings(
    folder: Path,
    environ: Mapping[str, str],
    options: Mapping[str, Any],
    variable_files: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """The settings of a program that is started in `folder`; an option of None was not given.

    `variable_files` has the variables of `environ` that came from a file, and its path. Raises ConfigError, which names
    the origin of the invalid value and what is allowed.
    """
    in_file, as_options = list(_from_file(folder)), list(_from_options(options))
    named = (*in_file, *_from_environment(SETTINGS, environ), *as_options)
    table = settings_with_executors(given.value for given in named if given.name in _EXECUTOR_NAMES)
    for given in in_file:
        if given.name not in table:
            hint = did_you_mean(given.name, table) or f"the settings are {', '.join(table)}"
            if isinstance(given.value, dict):
                hint = f"settings belong at the top of the file; [{'] and ['.join(ENVIRONMENTS)}] are tables"
            raise ConfigError(f"{given.origin}: unknown setting {given.name!r}; {hint}")
    check_variables(environ, (variable for setting in table.values() for variable in setting.variables))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    # In the order of precedence, lowest first, so that later values replace earlier ones.
    for name, value, origin in (*in_file, *_from_environment(table, environ, variable_files), *as_options):
        values[name] = _parsed(table[name], name, value, origin)
        origins.pop(name, None)
        if origin != DEFAULT:
            origins[name] = origin
    own = {name: value for name, value in values.items() if name in Settings.__dataclass_fields__}
    of_executors = MappingProxyType({name: value for name, value in values.items() if name not in own})
    own |= _by_rules(own, environ)
    if "rules" not in origins:
        own.setdefault("rules_because", reason_handed_on(environ, RULES_VARIABLE))
    settings = Settings(folder=folder, **own, executor_settings=of_executors, origins=MappingProxyType(origins))
    _check_needed(settings)
    _check_workers(settings)
    return settings


def _parsed(setting: Setting, name: str, value: Any, origin: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        if name == "alerts":
            raise ConfigError(f"{origin}: {name}: {error}") from None
        shown = without_password(value) if isinstance(value, str) else value
        why = hide_passwords(str(error), str(value))
        raise ConfigError(f"{origin}: {name} = {shown!r} is invalid: {why}") from None


def rules_origin(settings: Settings) -> str:
    """Why the rules apply."""
    return settings.rules_because or settings.origin("rules")


def rules_shown(settings: Settings) -> str:
    """The rules in force, why they apply, and their effect, in one line."""
    why = rules_origin(settings)
    limit = f"at most {settings.max_timers} timers in an environment" if settings.max_timers else "no limit of timers"
    return f"{settings.rules} ({why}): timers that name no zone are in {settings.default_zone}; {limit}"


def _by_rules(given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The defaults from the rules in force, for settings that are not given."""
    found, because = rules_in_force(environ)
    rules = given.get("rules", found)
    values: dict[str, Any] = {} if "rules" in given else {"rules": rules, "rules_because": because}
    if "tz" not in given:
        zone = assumed_zone(rules)
        values |= {"tz": zone.name, "assumed_zone": zone}
    if "max_timers" not in given:
        values["max_timers"] = assumed_quota(rules)
    return values


#: The settings that name an executor.
_EXECUTOR_NAMES = {"executor", *(f"{environment}_executor" for environment in ENVIRONMENTS)}


def _check_needed(settings: Settings) -> None:
    """ConfigError if an environment lacks a setting that its executor requires."""
    for environment in ENVIRONMENTS:
        of_environment = settings.for_environment(environment)
        values = dict(of_environment.executor_settings)
        for setting in of_environment.kind.settings:
            if setting.needed and values[setting.name] is None:
                where = f"{environment}_executor" if getattr(settings, f"{environment}_executor") else "executor"
                raise ConfigError(
                    f'{settings.origin(where)}: executor = "{of_environment.executor}" needs '
                    f"{setting.name} = {setting.needed}"
                )


def _check_workers(settings: Settings) -> None:
    workers, max_workers = settings.executor_setting("workers"), settings.executor_setting("max_workers")
    if workers > max_workers:
        raise ConfigError(
            f"{settings.origin('workers')}: workers = {workers} is more than max_workers = "
            f"{max_workers} ({settings.origin('max_workers')})"
        )


class GivenValue(NamedTuple):
    """A value before parsing."""

    name: str
    value: Any
    origin: str


def _from_file(folder: Path) -> Iterator[GivenValue]:
    path = folder / FILE_NAME
    try:
        text = small_text(path)
    except FileNotFoundError:
        return
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: invalid TOML: {error}") from error
    for name, value in _flat(table):
        yield GivenValue(name, value, str(path))


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings of a file; those in an environment's table get their full names, as in `stage_target`."""
    for name, value in table.items():
        if name in ENVIRONMENTS and isinstance(value, dict):
            yield from ((f"{name}_{own}", own_value) for own, own_value in value.items())
        else:
            yield name, value


#: The codes for environments in variables.
_PROD = {"1": "production", "0": "stage"}
_MEANINGS: Mapping[str, Mapping[str, str]] = {"LEANCLOUD_APP_PROD": _PROD, "LC_APP_PROD": _PROD}


def _from_environment(
    table: Mapping[str, Setting], environ: Mapping[str, str], files: Mapping[str, str] = MappingProxyType({})
) -> Iterator[GivenValue]:
    for name, setting in table.items():
        for variable in reversed(setting.variables):
            if (value := environ.get(variable)) and not is_of_a_service(variable, value):
                meaning = _MEANINGS.get(variable, {}).get(value, value)
                where = f" ({files[variable]})" if variable in files else ""
                origin = origin_handed_on(environ, variable) or f"the environment variable {variable}{where}"
                yield GivenValue(name, meaning, origin)


#: Settings whose option has another name.
_OPTION_NAMES = {"environment": "env", "limit_s": "limit"}


def _from_options(options: Mapping[str, Any]) -> Iterator[GivenValue]:
    for name, value in options.items():
        if value is not None:
            yield GivenValue(name, value, f"the option --{_OPTION_NAMES.get(name, name).replace('_', '-')}")
