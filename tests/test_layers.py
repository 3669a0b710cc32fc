"""Who may import whom: the rooms of the architecture, checked against every import statement."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Rooms of the timer service from the inside out; a room may import those before it, never one after it.
PURE = ("stamps", "errors", "budget", "breaker", "timer", "forecast", "retry", "run", "misfire", "plan", "logs")
SHELL = (
    "clock",
    "call",
    "tracebacks",
    "functions",
    "target",
    "schema",
    "store",
    "wake",
    "session",
    "presence",
    "bulk",
    "rows",
    "known",
    "timetable",
    "declarations",
    "leases",
    "doubts",
    "batch",
    "turns",
    "retries",
    "endings",
    "releases",
    "claims",
    "fleet",
    "backfill",
    "history",
    "loglines",
    "retention",
    "census",
    "executors",
    "metrics",
    "listener",
    "notices",
    "deployment",
    "outbox",
    "standby",
    "setback",
    "kernel",
    "sleep",
    "daemon",
    "service",
    "testing",
    "config",
)
EDGES = ("engine", "console", "demo", "cli", "__main__")
#: What a pure room may not touch: clocks, files, sockets, threads, the store.
IMPURE_MODULES = {"time", "os", "socket", "threading", "logging", "subprocess", "pathlib", "sqlite3", "sqlalchemy"}


def modules(package: str) -> list[Path]:
    return sorted(
        path
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts and "demo_cloud" not in path.name
    )


def imports(path: Path) -> set[str]:
    """Absolute names of what a file imports, at any depth of its code, but for type checking alone."""
    package = list(path.relative_to(ROOT).with_suffix("").parts)
    package = package if path.name == "__init__.py" else package[:-1]
    package = package[:-1] if path.name == "__init__.py" and package[-1] == "__init__" else package
    found = set()
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{name}.{alias.name}" for alias in node.names} if not node.module else {name}
    return found


def _without_type_checking(tree: ast.Module) -> ast.Module:
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    return tree


def room(name: str) -> str:
    """The room of a module of the scheduler: `scheduler.engine.app` lives in `engine`."""
    return name.split(".")[1] if name.count(".") else ""


def scheduler_rooms() -> list[tuple[str, Path]]:
    found = []
    for path in modules("scheduler"):
        parts = path.relative_to(ROOT / "scheduler").with_suffix("").parts
        if parts != ("__init__",):
            found.append((parts[0], path))
    return found


def ids(value: object) -> str | None:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def test_every_room_of_the_scheduler_is_in_the_plan() -> None:
    """A new file has to be given its place before it can be tested."""
    assert {name for name, _ in scheduler_rooms()} <= {*PURE, *SHELL, *EDGES}


@pytest.mark.parametrize("path", modules("quartzcron"), ids=ids)
def test_the_calculator_knows_nothing_of_the_service(path: Path) -> None:
    """quartzcron never imports scheduler."""
    assert not {name for name in imports(path) if name.split(".")[0] == "scheduler"}


@pytest.mark.parametrize(("name", "path"), scheduler_rooms(), ids=ids)
def test_rooms_import_only_inwards(name: str, path: Path) -> None:
    """A room imports pure rooms and rooms below it; nobody but the command line imports an edge."""
    order = (*PURE, *SHELL)
    imported = {room(other) for other in imports(path) if other.startswith("scheduler.")} - {"", name}
    if name in EDGES:
        forbidden = imported & (set(EDGES) - {name}) if name not in {"cli", "__main__", "demo"} else set()
    else:
        forbidden = {other for other in imported if other not in order or order.index(other) > order.index(name)}
    assert not forbidden


@pytest.mark.parametrize(("name", "path"), [pair for pair in scheduler_rooms() if pair[0] in PURE], ids=ids)
def test_the_pure_core_touches_nothing_outside(name: str, path: Path) -> None:
    """Pure rooms import no clock, file, socket, thread or store."""
    assert not {other.split(".")[0] for other in imports(path)} & IMPURE_MODULES
