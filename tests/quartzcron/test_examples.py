"""Every example in the docstrings of quartzcron runs, in every module of every room."""

from __future__ import annotations

import doctest
import importlib

import pytest

import quartzcron
from tests.imports import modules

MODULES = sorted(modules("quartzcron"))
#: Modules that need a library which quartzcron does not require.
NEEDS = {f"quartzcron.contrib.{name}": name for name in ("apscheduler", "celery", "django", "sqlalchemy")}
NEEDS["quartzcron.text.pydantic_schema"] = "pydantic"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    """As printed."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_room_is_among_them() -> None:
    """The files of a folder, and those beside the folders."""
    rooms = {name.split(".")[1] for name in MODULES if "." in name}
    assert rooms >= {"wall", "grammar", "zones", "search", "text", "dialects", "contrib", "cli", "expression"}


def test_there_are_examples() -> None:
    """In the manual, and for every public method of an expression that computes something."""
    assert doctest.testmod(quartzcron).attempted > 10
    for name in ("next_fire", "prev_fire", "matches", "fires", "between", "count", "nth", "min_gap", "canonical"):
        member = getattr(quartzcron.CronExpression, name)
        assert ">>>" in (member.__doc__ or ""), name
