"""OwnModules: a user's folder on the import path whose files do not shadow modules that other code imports.

A package that imports `queue`, or this program after a function has failed, would otherwise find the file queue.py
beside cloud.py instead of Python's module. So a finder looks for the names of Python's library and of our dependencies
outside the user's folder, unless a file of that folder imports them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType

from .source_snapshot import SnapshotFinder

#: The module names of our dependencies, and of packages that these use if installed.
DEPENDENCIES = frozenset((
    "alembic", "amqp", "anyio", "bcrypt", "billiard", "celery", "certifi", "chardet", "charset_normalizer", "click",
    "click_didyoumean", "click_plugins", "click_repl", "cryptography", "dateutil", "exceptiongroup", "greenlet",
    "h11", "h2", "httpcore", "httpx", "idna", "kombu", "mako", "markdown_it", "markupsafe", "mdurl", "packaging",
    "pgmq", "prometheus_client", "prompt_toolkit", "psycopg", "psycopg_binary", "psycopg_c", "psycopg_pool",
    "pydantic", "pydantic_core", "pygments", "pytz", "quartzcron", "redis", "rich", "scheduler", "setuptools", "six",
    "sniffio", "socksio", "sqlalchemy", "tblib", "typing_extensions", "tzdata", "tzlocal", "vine", "waitress",
    "wcwidth", "werkzeug", "yaml", "zstandard",
))  # fmt: skip
NOT_THE_USERS = DEPENDENCIES | sys.stdlib_module_names


class OwnModules:
    """A finder for NOT_THE_USERS; it leaves imports from a file in `folder` to the finders behind it."""

    def __init__(self, folder: str, target: str) -> None:
        self.folder = folder
        self._target = target

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or name not in NOT_THE_USERS or name == self._target:
            return None
        if _is_in(_importing_file(), self.folder):
            return None
        elsewhere = [entry for entry in sys.path if entry and Path(entry) != Path(self.folder)]
        spec = PathFinder.find_spec(name, elsewhere, target)
        if spec is None and any(Path(self.folder, file).exists() for file in (f"{name}.py", name)):
            # For example `_wmi`, which `platform` tries to import and exists only on Windows.
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


def put_first(folder: str, target: str = "") -> None:
    """Put the folder of the user's module `target` to the front of the import path, as `python cloud.py` does."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    _guard(folder, target)


def put_behind(folder: str, first: str, target: str = "") -> None:
    """Put a folder on the import path behind another one, as `put_first` does it with that one."""
    if folder not in sys.path:
        sys.path.insert(sys.path.index(first) + 1, folder)
    _guard(folder, target)


def _guard(folder: str, target: str) -> None:
    """Keep the folder's files from taking the place of modules that others import."""
    if not any(isinstance(finder, OwnModules) and finder.folder == folder for finder in sys.meta_path):
        # Behind the finders of built-in and frozen modules, which no file can shadow anyway.
        before = [PathFinder, *(finder for finder in sys.meta_path if isinstance(finder, SnapshotFinder))]
        places = [sys.meta_path.index(finder) for finder in before if finder in sys.meta_path]
        sys.meta_path.insert(min(places, default=len(sys.meta_path)), OwnModules(folder, target))


def hidden_file(error: BaseException, folder: Path) -> Path | None:
    """The user's file that an import did not find, because another module of its name was loaded before."""
    module = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    name = module.__name__ if isinstance(module, ModuleType) else getattr(error, "name", None)
    if not isinstance(name, str) or not isinstance(error, ImportError | AttributeError):
        return None
    top = name.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    for file in (folder / f"{top}.py", folder / top / "__init__.py", folder / top):
        if file.exists() and top in sys.modules and (loaded is None or not _is_in(loaded, str(folder))):
            return file
    return None


def shadowing_file(error: BaseException, folder: Path) -> Path | None:
    """The user's file that was imported, and lacks a name, in place of an installed package of the same name."""
    module = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    name, path = getattr(error, "name", None), getattr(error, "path", None)
    if isinstance(module, ModuleType):
        name, path = module.__name__, getattr(module, "__file__", None)
    if not isinstance(error, ImportError | AttributeError) or not isinstance(name, str) or not isinstance(path, str):
        return None
    elsewhere = [entry for entry in sys.path if entry and Path(entry) != folder]
    spec = PathFinder.find_spec(name.partition(".")[0], elsewhere) if _is_in(path, str(folder)) else None
    return Path(path) if spec is not None and spec.origin else None


_OF_IMPORT = (importlib.__file__, __file__)


def _importing_file() -> str:
    """The file with the import statement, or the call of import_module, that is being executed."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and (
        frame.f_code.co_filename in _OF_IMPORT or frame.f_code.co_filename.startswith("<frozen ")
    ):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""


def _is_in(file: str, folder: str) -> bool:
    path = Path(file)
    return path.is_relative_to(folder) and "site-packages" not in path.relative_to(folder).parts
