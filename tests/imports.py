"""The imports of a package as arrows from module to module, including late and type-only ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


def module_name(path: Path) -> str:
    """`scheduler/store/rows.py` is scheduler.store.rows, and `scheduler/store/__init__.py` scheduler.store."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: str) -> Mapping[str, Path]:
    """The files of a package by module name, except migrations, which Alembic runs."""
    paths = (path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts)
    return {module_name(path): path for path in paths}


def statements(path: Path) -> Iterator[tuple[str, str]]:
    """Each name that an import statement imports as (module, name), with relative imports resolved."""
    return _statements(_nodes(path), path)


def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _statements(nodes: list[ast.AST], path: Path) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _resolved("." * node.level + (node.module or ""), path)
            yield from ((module, alias.name) for alias in node.names)


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Each imported name as (module, name), of statements and of texts.

    The texts are names of modules, such as the program of `python -m`, and the arguments of Lazy and import_module.
    """
    nodes = _nodes(path)
    yield from _statements(nodes, path)
    own = module_name(path)
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value and "." in own:
            yield node.value.partition(":")[0], ""
        elif isinstance(node, ast.Call) and node.args and isinstance(text := _text(node.args[0]), str):
            match _function(node):
                case "Lazy":
                    yield f"{own.partition('.')[0]}.{text}", ""
                case "import_module" if text.startswith("."):
                    yield _resolved(text, path), ""


def called(path: Path) -> set[str]:
    """The names of all functions and methods that a file calls."""
    return {_function(node) for node in _nodes(path) if isinstance(node, ast.Call)}


def _resolved(module: str, path: Path) -> str:
    """The full name of a module that is imported in a file, such as `..errors`."""
    name = module.lstrip(".")
    if not (level := len(module) - len(name)):
        return name
    own = module_name(path)
    package = own if path.name == "__init__.py" else own.rpartition(".")[0]
    outer = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*outer, *([name] if name else [])])


def _text(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _function(node: ast.Call) -> str:
    """The name of the called function, without its module or object."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@cache
def arrows(package: str) -> Mapping[str, frozenset[str]]:
    """Each module of a package, with the modules of the same package that it imports."""
    known = modules(package)
    return {
        name: frozenset(other for pair in imported(path) if (other := _module(pair, known)) and other != name)
        for name, path in known.items()
    }


def _module(pair: tuple[str, str], known: Mapping[str, Path]) -> str | None:
    """The module that `from module import name` imports: `module.name` if that is a module."""
    module, name = pair
    inner = f"{module}.{name}"
    return inner if inner in known else module if module in known else None


def circles(graph: Mapping[str, AbstractSet[str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or not (Tarjan's strongly connected components)."""
    groups: list[list[str]] = []
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
                groups.append(sorted(part))

    for node in graph:
        if node not in index:
            visit(node)
    return groups
