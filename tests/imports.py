"""Every import of a package as an arrow from module to module, whenever it is carried out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def module_name(path: Path) -> str:
    """`scheduler/store/rows.py` is scheduler.store.rows, and `scheduler/store/__init__.py` scheduler.store."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package: str) -> dict[str, Path]:
    """The files of a package by module name; migrations are not imported but run."""
    paths = (path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts)
    return {module_name(path): path for path in paths}


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Each imported name as (module, name), relative ones resolved: at the top, within functions, for type checking.

    A module's name as a text counts too, such as that of a program that is run with `python -m`.
    """
    own = module_name(path)
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*outer, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value and "." in own:
            yield node.value.partition(":")[0], ""


def arrows(package: str) -> Mapping[str, set[str]]:
    """For each module of a package the modules of the same package that it imports; every one is a key."""
    known = modules(package)
    return {
        name: {found for pair in imported(path) if (found := _module(pair, known)) and found != name}
        for name, path in known.items()
    }


def _module(pair: tuple[str, str], known: Mapping[str, Path]) -> str | None:
    """The module behind `from module import name`: the name itself may be one."""
    module, name = pair
    inner = f"{module}.{name}"
    return inner if inner in known else module if module in known else None


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or round about (Tarjan's strongly connected parts)."""
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return found
