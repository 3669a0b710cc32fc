"""Every import is allowed by the table in rooms.toml, late and type-only imports included."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests import imports
from tests.imports import ROOT, arrows, called, circles, imported, modules, statements

ROOMS: dict[str, Any] = tomllib.loads((ROOT / "tests" / "rooms.toml").read_text(encoding="utf-8"))
PACKAGES = sorted(ROOMS)
#: The modules that the pure core may import: none has a clock, file, socket, thread or database.
PURE_MODULES = {
    *("__future__", "abc", "collections", "dataclasses", "enum", "functools", "itertools", "operator", "typing"),
    *(
        "base64",
        "binascii",
        "bisect",
        "datetime",
        "dateutil",
        "fnmatch",
        "hashlib",
        "heapq",
        "json",
        "math",
        "re",
        "sys",
        "unicodedata",
        "urllib.parse",
    ),
    *("importlib.metadata", "quartzcron", "scheduler"),
}
#: Calls that need no import and read a clock, a file or a terminal.
IMPURE_CALLS = {"open", "input", "print", "now", "utcnow", "today"}
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


def test_a_class_name_means_one_thing() -> None:
    """In both packages together; names with an underscore are a file's own."""
    places: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in re.findall(r"^class ([A-Za-z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
                places[name].append(str(path.relative_to(ROOT)))
    assert len(places) > 300
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_calculator_does_not_import_the_service() -> None:
    """quartzcron never imports scheduler."""
    for module, path in modules("quartzcron").items():
        assert not [name for name, _ in imported(path) if name.split(".")[0] == "scheduler"], module


def test_the_pure_core_touches_nothing_outside() -> None:
    """No module of scheduler/core imports or calls a clock, file, socket, thread or store."""
    for module, path in modules("scheduler").items():
        if room(module) == "core":
            foreign = {name for name, _ in statements(path) if not {name, name.split(".")[0]} & PURE_MODULES}
            assert not foreign, module
            assert not called(path) & IMPURE_CALLS, module


def test_migrations_import_nothing_of_this_package() -> None:
    """Each has the tables of its own version; only env.py imports the present ones."""
    for path in (ROOT / "scheduler" / "store" / "migrations").rglob("*.py"):
        names = {name for name, _ in statements(path) if name.split(".")[0] in PACKAGES}
        assert names <= ({"scheduler.store"} if path.name == "env.py" else set()), path.name


def test_names_in_texts_are_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the program of a process, of Lazy, and of import_module with a relative name."""
    path = tmp_path / "quartzcron" / "wall" / "days.py"
    path.parent.mkdir(parents=True)
    path.write_text('Lazy("text.english")\nimport_module("..fields", __package__)\nrun("quartzcron.cli")')
    monkeypatch.setattr(imports, "ROOT", tmp_path)
    assert {module for module, _ in imported(path)} >= {
        "quartzcron.text.english",
        "quartzcron.fields",
        "quartzcron.cli",
    }
