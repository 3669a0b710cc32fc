"""The bounds of the dependencies in pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
#: Their versions are dates, and say nothing about what they break.
DATED = {"pytz", "types-pytz"}
REQUIREMENTS = {
    text
    for extra in (
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    )
    for text in extra
    if not text.startswith("quartzcron[")
}


@pytest.mark.parametrize("text", sorted(REQUIREMENTS))
def test_every_dependency_has_a_lowest_version_and_a_version_below_which_it_stays(text: str) -> None:
    """Nobody has tried older and later versions with it."""
    requirement = Requirement(text)
    bounds = sorted(bound.operator for bound in requirement.specifier)
    assert bounds == ([">="] if requirement.name in DATED else ["<", ">="])


def test_no_dependency_is_declared_with_different_bounds() -> None:
    """One version of each is the lowest, for every extra."""
    names = [Requirement(text).name for text in REQUIREMENTS]
    assert sorted(names) == sorted(set(names))
