"""The tables of rooms in docs/architecture.md, made from rooms.toml: `python -m tests.rooms_table` writes them anew."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tests.imports import ROOT

PAGE = ROOT / "docs" / "architecture.md"
ROOMS: dict[str, Any] = tomllib.loads((ROOT / "tests" / "rooms.toml").read_text(encoding="utf-8"))


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


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
