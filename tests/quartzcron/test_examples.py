"""Every example in the documentation of the inner packages runs, those of a host only where the host is."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from quartzcron import contrib, dialects

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (contrib, dialects)
    for module in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_an_inner_module_run(name: str) -> None:
    """As printed."""
    if name.startswith("quartzcron.contrib."):
        pytest.importorskip(name.rpartition(".")[2])
    assert doctest.testmod(importlib.import_module(name)).failed == 0
