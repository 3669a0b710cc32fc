"""What an import of quartzcron leaves for later, and that nobody notices."""

from __future__ import annotations

import subprocess
import sys

import pytest

import quartzcron
from quartzcron import errors

LATER = {
    *("errors", "grammar.diagnosis", "grammar.canonical", "text.describe", "wall.pattern"),
    *("zones.zone", "zones.lookup", "zones.dst_policies"),
    *("search.transition_days", "search.localize", "search.rank", "search.iterate"),
}


def modules_after(code: str) -> set[str]:
    """The modules that a new interpreter has after it ran some code."""
    script = f"import quartzcron, sys\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_an_import_loads_only_what_every_expression_needs() -> None:
    """Zones, errors, searches and everything in words come when they are asked for; so do the slow parts of Python."""
    loaded = modules_after("quartzcron.CronExpression('0 0 8 ? * MON')")
    assert not loaded & {f"quartzcron.{name}" for name in LATER}
    assert not loaded & {"re", "typing", "enum", "dataclasses", "pytz", "dateutil", "zoneinfo"}


def test_a_first_answer_needs_no_search() -> None:
    """The tables are enough for it."""
    loaded = modules_after(
        "import datetime as d\nquartzcron.CronExpression('0 0 8 ? * MON').next_fire(d.datetime(2026, 1, 1))"
    )
    assert "quartzcron.zones.zone" in loaded
    assert not loaded & {f"quartzcron.{name}" for name in LATER - {"zones.zone", "zones.lookup"}}


def test_the_errors_are_there_before_they_are_imported() -> None:
    """By name, by `from quartzcron import`, and in dir(); other names are missing as usual."""
    assert {name: getattr(quartzcron, name) for name in quartzcron.__all__ if name != "CronExpression"} == {
        name: getattr(errors, name) for name in quartzcron.__all__ if name != "CronExpression"
    }
    assert set(quartzcron.__all__) <= set(dir(quartzcron))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        quartzcron.Nothing  # noqa: B018
