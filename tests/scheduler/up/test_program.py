"""The program of the processes of `scheduler up`: each role names a function that is there."""

from __future__ import annotations

from importlib import import_module

import pytest

from scheduler.up.program import ROLES


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_a_function(role: str) -> None:
    """It is imported only when a process of this role starts."""
    module, _, function = ROLES[role].partition(":")
    assert callable(getattr(import_module(f"scheduler.up.{module}"), function))
