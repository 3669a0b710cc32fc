"""Who may import whom: the table in rooms.toml, held against every import, late and type-only ones too."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.imports import ROOT, arrows, circles, imported, modules

ROOMS: dict[str, Any] = tomllib.loads((ROOT / "tests" / "rooms.toml").read_text(encoding="utf-8"))
PACKAGES = sorted(ROOMS)
#: What the pure core may not touch: clocks, files, sockets, threads, the store.
IMPURE_MODULES = {"time", "os", "socket", "threading", "logging", "subprocess", "pathlib", "sqlite3", "sqlalchemy"}
#: What stands at a package's door, and may import whatever is inside.
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
    """A new folder, or file beside the folders, is given its place before it can be tested; no row is left over."""
    assert {room(module) for module in modules(package)} - DOORS == set(ROOMS[package]["rooms"])


@pytest.mark.parametrize(("package", "name"), rows())
def test_a_room_imports_only_what_its_row_says(package: str, name: str) -> None:
    """Whenever the import is carried out: at the top of a file, within a function, for type checking."""
    table = ROOMS[package]
    allowed = {*table["rooms"][name]["imports"], *table["always"], name}
    found = {
        f"{module} imports {other}"
        for module, others in arrows(package).items()
        if room(module) == name
        for other in others
        if room(other) not in allowed and "*" not in allowed
    }
    assert not found


@pytest.mark.parametrize(("package", "name"), rows())
def test_a_row_names_no_room_that_is_not_imported(package: str, name: str) -> None:
    """So that the table shows how the rooms are, not how they might be."""
    used = {room(other) for module, others in arrows(package).items() if room(module) == name for other in others}
    assert set(ROOMS[package]["rooms"][name]["imports"]) - {"*"} <= used


@pytest.mark.parametrize("package", PACKAGES)
def test_rows_name_rooms_further_in(package: str) -> None:
    """A row names rooms above it in the table alone, so rooms form no circle; `always` are the innermost."""
    names = list(ROOMS[package]["rooms"])
    for place, name in enumerate(names):
        assert set(ROOMS[package]["rooms"][name]["imports"]) - {"*"} <= set(names[:place]), name
    assert set(names[: len(ROOMS[package]["always"])]) == set(ROOMS[package]["always"])


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """Neither at the top, nor late, nor for type checking; the door apart, which hands on what is inside."""
    inside = {
        module: {other for other in others if room(other) not in DOORS}
        for module, others in arrows(package).items()
        if room(module) not in DOORS
    }
    assert circles(inside) == []


def test_a_circle_is_found() -> None:
    """Of two, of three, and none where there is none."""
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
