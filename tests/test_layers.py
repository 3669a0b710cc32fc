"""Every import is allowed by the table in rooms.toml, late and type-only imports included."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.imports import ROOT, arrows, circles, imported, modules

ROOMS: dict[str, Any] = tomllib.loads((ROOT / "tests" / "rooms.toml").read_text(encoding="utf-8"))
PACKAGES = sorted(ROOMS)
#: Modules with clocks, files, sockets, threads or databases, which the pure core does not import.
IMPURE_MODULES = {"time", "os", "socket", "threading", "logging", "subprocess", "pathlib", "sqlite3", "sqlalchemy"}
#: The modules of a package that may import every room.
DOORS = {"__init__", "__main__"}


def room(module: str) -> str:
    """The room of a module: `scheduler.engine.app` is in `engine`."""
    return module.split(".")[1] if "." in module else "__init__"


def rows() -> list[Any]:
    return [
        pytest.param(package, name, id=f"{package}-{name}") for package in PACKAGES for name in ROOMS[package]["rooms"]
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_in_the_table(package: str) -> None:
    """So is every file beside the folders; and every row is a folder or file."""
    assert {room(module) for module in modules(package)} - DOORS == set(ROOMS[package]["rooms"])


@pytest.mark.parametrize(("package", "name"), rows())
def test_a_room_imports_only_what_its_row_says(package: str, name: str) -> None:
    """At the top of a file, within a function, and for type checking."""
    table = ROOMS[package]
    allowed = {*table["rooms"][name]["imports"], *table["always"], name}
    forbidden = {
        f"{module} imports {other}"
        for module, others in arrows(package).items()
        if room(module) == name
        for other in others
        if room(other) not in allowed and "*" not in allowed
    }
    assert not forbidden


@pytest.mark.parametrize(("package", "name"), rows())
def test_a_row_names_no_room_that_is_not_imported(package: str, name: str) -> None:
    """A row lists only rooms that are imported."""
    used = {room(other) for module, others in arrows(package).items() if room(module) == name for other in others}
    assert set(ROOMS[package]["rooms"][name]["imports"]) - {"*"} <= used


@pytest.mark.parametrize("package", PACKAGES)
def test_rows_name_rooms_further_in(package: str) -> None:
    """A row lists only rows above it, so rooms form no circle; the rooms of `always` come first."""
    names = list(ROOMS[package]["rooms"])
    for place, name in enumerate(names):
        assert set(ROOMS[package]["rooms"][name]["imports"]) - {"*"} <= set(names[:place]), name
    assert set(names[: len(ROOMS[package]["always"])]) == set(ROOMS[package]["always"])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """Including late and type-only imports; `__init__` and `__main__` are left out, since they import every room."""
    inside = {
        module: {other for other in others if room(other) not in DOORS}
        for module, others in arrows(package).items()
        if room(module) not in DOORS
    }
    assert circles(inside) == []


def test_a_circle_is_found() -> None:
    """Of two modules, of three, and no circle in a graph without one."""
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == [["a", "b"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_the_calculator_knows_nothing_of_the_service() -> None:
    """quartzcron never imports scheduler."""
    for module, path in modules("quartzcron").items():
        assert not [name for name, _ in imported(path) if name.split(".")[0] == "scheduler"], module


def test_the_pure_core_touches_nothing_outside() -> None:
    """No module of scheduler/core imports a clock, file, socket, thread or store."""
    for module, path in modules("scheduler").items():
        if room(module) == "core":
            assert not {name.split(".")[0] for name, _ in imported(path)} & IMPURE_MODULES, module
