"""Every example in the documentation of quartzcron runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import quartzcron

MODULES = ["quartzcron", *(f"quartzcron.{module.name}" for module in pkgutil.iter_modules(quartzcron.__path__))]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    """As printed."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    """The manual has some, and so has every public method that answers a question."""
    assert doctest.testmod(quartzcron).attempted > 10
    for name in ("next_fire", "prev_fire", "matches", "fires", "between", "count", "nth", "min_gap", "canonical"):
        member = getattr(quartzcron.CronExpression, name)
        assert ">>>" in (member.__doc__ or ""), name
