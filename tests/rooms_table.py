"""The tables of rooms in docs/architecture.md, from rooms.toml, and docs/files.md, from the first lines of the files.

`python -m tests.rooms_table` writes both anew.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

from tests.imports import ROOT

PAGE = ROOT / "docs" / "architecture.md"
FILES_PAGE = ROOT / "docs" / "files.md"
ROOMS: dict[str, Any] = tomllib.loads((ROOT / "tests" / "rooms.toml").read_text(encoding="utf-8"))
_HEAD = """# Files

What each file holds, room by room. Which room may import which, and which question is answered where, is in
[architecture.md](architecture.md). `python -m tests.rooms_table` makes this page from the first lines of the files.
"""


def rooms_table(package: str) -> str:
    """The rooms of a package as a Markdown table, in the order of rooms.toml."""
    always = ROOMS[package]["always"]
    rows = [f"| room of `{package}` | holds | may import, besides {_names(always)} |", "|---|---|---|"]
    for name, room in ROOMS[package]["rooms"].items():
        is_folder = (ROOT / package / name).is_dir()
        imports = "every room" if room["imports"] == ["*"] else _names(room["imports"]) or "–"
        rows.append(f"| `{name}{'/' if is_folder else '.py'}` | {room['holds']} | {imports} |")
    return "\n".join(rows) + "\n"


def _names(rooms: list[str]) -> str:
    return " · ".join(rooms)


def with_tables(page: str) -> str:
    """The page with the tables as rooms.toml has them."""
    for package in ROOMS:
        between = re.compile(rf"(<!-- rooms of {package} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = between.subn(lambda found, p=package: f"{found[1]}\n{rooms_table(p)}\n{found[2]}", page)
        assert count == 1, package
    return page


def files_page() -> str:
    """Every file of both packages, with the first paragraph of its docstring; folders within a room follow the room."""
    sections = [_HEAD]
    for package, table in ROOMS.items():
        folders = [name for name in table["rooms"] if (ROOT / package / name).is_dir()]
        single = [name for name in table["rooms"] if name not in folders]
        sections.append(_section(package, [ROOT / package / f"{name}.py" for name in single]))
        for name in folders:
            for folder in _folders_of(ROOT / package / name):
                paths = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
                sections.append(_section(folder.relative_to(ROOT).as_posix(), paths))
    return "\n".join(sections)


def _folders_of(room: Path) -> list[Path]:
    """The room and the packages in it; the migrations are not a package."""
    return [room, *sorted(path.parent for path in room.glob("*/__init__.py"))]


def _section(title: str, paths: list[Path]) -> str:
    rows = [f"| `{path.name}` | {_first_paragraph(path)} |" for path in paths]
    return "\n".join([f"## {title}/", "", "| file | holds |", "|---|---|", *rows, ""])


def _first_paragraph(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    FILES_PAGE.write_text(files_page(), encoding="utf-8")
