"""What an import of quartzcron loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import quartzcron
from quartzcron import errors

#: Everything that an import loads: what every expression needs.
LOADED = {
    *("quartzcron", "expression", "fields", "lazy"),
    *("grammar", "grammar.parser", "search", "search.compiled", "search.expression_value", "search.year_rows"),
    *("wall", "wall.days", "wall.times"),
}
#: What a first fire time needs besides: the zone of naive times.
FOR_A_FIRST_FIRE = {"zones", "zones.lookup", "zones.zone"}
SLOW = {"re", "typing", "enum", "dataclasses", "importlib.metadata", "pytz", "dateutil", "zoneinfo"}


def modules_after(code: str) -> set[str]:
    """The modules that a new interpreter, without the site's packages, has loaded after some code."""
    names = "(name for name, module in sys.modules.items() if type(module) is type(sys))"
    script = f"import quartzcron, sys\n{code}\nprint(*{names})"
    command = [sys.executable, "-S", "-c", script]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def of_quartzcron(modules: set[str]) -> set[str]:
    """The modules of this package, by their names inside it."""
    return {name.removeprefix("quartzcron.") for name in modules if name.partition(".")[0] == "quartzcron"}


def test_an_import_loads_only_what_every_expression_needs() -> None:
    """Zones, errors, dialects and descriptions come when they are needed; so do the slow modules of Python."""
    loaded = modules_after("quartzcron.CronExpression('0 0 8 ? * MON')")
    assert of_quartzcron(loaded) == LOADED
    assert not loaded & SLOW


def test_a_first_fire_time_needs_only_the_tables() -> None:
    """And the zone of the time that is passed."""
    loaded = modules_after(
        "import datetime as d\nquartzcron.CronExpression('0 0 8 ? * MON').next_fire(d.datetime(2026, 1, 1))"
    )
    assert of_quartzcron(loaded) == LOADED | FOR_A_FIRST_FIRE
    assert not loaded & SLOW


def test_reading_the_files_of_all_modules_imports_nothing() -> None:
    """As hypothesis, reloaders and inspect do: earlier names of modules are in sys.modules too."""
    loaded = modules_after("[getattr(module, '__file__', None) for module in list(sys.modules.values())]")
    assert of_quartzcron(loaded) == LOADED


def test_the_errors_are_there_before_they_are_imported() -> None:
    """By name, by `from quartzcron import`, and in dir(); other names are missing as usual."""
    assert {name: getattr(quartzcron, name) for name in quartzcron.__all__ if name != "CronExpression"} == {
        name: getattr(errors, name) for name in quartzcron.__all__ if name != "CronExpression"
    }
    assert set(quartzcron.__all__) <= set(dir(quartzcron))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        quartzcron.Nothing  # noqa: B018
