"""load: imports a user's functions from a `cloud.py` or from `package.module:attribute`.

Lives here: the import, the search for the engine in the module, and errors that name the user's own line.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import TargetError
from ..install import damage
from .own_modules import hidden_file, put_behind, put_first, shadowing_file
from .registry import Registry
from .source_snapshot import current


@dataclass(frozen=True, slots=True)
class Target:
    """A loaded module, its application with the functions (an engine or a registry), and their registry."""

    name: str
    module: ModuleType
    application: Any
    registry: Registry


#: The target whose module is being imported, for `being_loaded`.
_importing: ContextVar[str | None] = ContextVar("importing", default=None)


def being_loaded() -> str | None:
    """The target that is being loaded while the caller runs; None if none is."""
    return _importing.get()


def load(name: str) -> Target:
    """Load `cloud.py`, `path/to/cloud.py`, `module` or `module:attribute`.

    The application is the attribute named, else the only engine or Registry in the module: any object with a
    `registry`. The file's folder goes to the front of the import path, as for a script.

    TargetError for a missing file or module, an exception during the import (with the line in the user's file), and a
    module with no application or with several.
    """
    source, attribute = split_target(name)
    if not source.strip():
        raise TargetError(f"{name!r} names no file and no module; name a cloud.py with your functions")
    module = _from_file(Path(source)) if source.endswith(".py") else _from_module(source)
    application = _named(module, attribute, name) if attribute else _only(module, name)
    return Target(name, module, application, registry_of(application))


def split_target(name: str) -> tuple[str, str]:
    """The file or module of a target, and the attribute, empty if none is named; a path may have colons.

    >>> split_target("a:b/cloud.py"), split_target("a:b/cloud.py:engine"), split_target("shop.cloud:engine")
    (('a:b/cloud.py', ''), ('a:b/cloud.py', 'engine'), ('shop.cloud', 'engine'))
    """
    if name.endswith(".py"):
        return name, ""
    path, ending, attribute = name.rpartition(".py:")
    if ending:
        return f"{path}.py", attribute
    module, _, attribute = name.partition(":")
    return module, attribute


def _from_file(path: Path) -> ModuleType:
    snapshot = current()
    if not path.is_file() and (snapshot is None or str(path.resolve()) not in snapshot):
        raise TargetError(f"{path}: no such file; name a cloud.py with your functions, or package.module:attribute")
    if "." in path.stem:
        raise TargetError(f"{path}: the name of a module has no dot; rename the file")
    folder, real = path.parent.resolve(), path.resolve().parent
    put_first(str(folder), path.stem)
    if real != folder:
        # A symbolic link: it may import what is beside it, and what is beside the file.
        put_behind(str(real), str(folder), path.stem)
    # Under its own name, so that `import cloud` in another file of the project gets the same module.
    return _import(path.stem, str(path), folder / path.name)


def _from_module(name: str) -> ModuleType:
    put_first(str(Path.cwd()), name.partition(".")[0])
    return _import(name, name, None)


def _import(name: str, shown: str, file: Path | None) -> ModuleType:
    importlib.invalidate_caches()
    token = _importing.set(shown)
    try:
        module = importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise TargetError(f"{shown} ended the program while it was imported: SystemExit({error.code!r})") from error
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name and file is None:
            raise TargetError(f"{shown}: no module of that name in {Path.cwd()} or on the import path") from error
        raise TargetError(
            f"{shown} raised while it was imported: {_place(error, file)}{_advice(error, file)}"
        ) from error
    finally:
        _importing.reset(token)
    if _threads_are_patched():
        raise TargetError(f"{shown}: {_PATCHED}")
    if file is not None and Path(getattr(module, "__file__", None) or "").resolve() != file.resolve():
        raise TargetError(f"{shown}: another module is named {name!r} too; rename the file")
    return module


_LEANCLOUD = (
    "; change the line to `from scheduler.engine import …`, or install LeanCloud's SDK beside this package: "
    "docs/migrating-from-leancloud.md says how"
)
#: Modules of Python 2, and their names since.
_PYTHON_2 = {
    "ConfigParser": "configparser",
    "Cookie": "http.cookies",
    "HTMLParser": "html.parser",
    "Queue": "queue",
    "SocketServer": "socketserver",
    "StringIO": "io",
    "__builtin__": "builtins",
    "cPickle": "pickle",
    "cStringIO": "io",
    "commands": "subprocess",
    "cookielib": "http.cookiejar",
    "httplib": "http.client",
    "md5": "hashlib",
    "sets": "the type set",
    "thread": "threading",
    "urllib2": "urllib.request",
    "urlparse": "urllib.parse",
    "xmlrpclib": "xmlrpc.client",
}
_PATCHED = (
    "it replaces Python's threads by gevent's (monkey.patch_all), with which limits and workers cannot work; remove "
    "that line"
)


def _advice(error: BaseException, file: Path | None) -> str:
    """The advice for an error that comes from a common mistake; else empty."""
    if isinstance(error, ImportError) and error.name == "scheduler" and (found := damage()):
        return f"; {found}"
    folder = file.parent if file is not None else Path.cwd()
    if (hidden := hidden_file(error, folder)) is not None:
        return f"; {hidden.name} has the name of a module that is loaded already: rename it"
    if (shadowing := shadowing_file(error, folder)) is not None:
        return f"; {shadowing.name} is imported in place of the installed package of that name: rename it"
    if isinstance(error, ImportError) and "no known parent package" in str(error) and file is not None:
        module = f"{file.parent.name}.{file.stem}"
        return f"; a module of a package is named as one, from the folder above: scheduler up {module}"
    if isinstance(error, ModuleNotFoundError) and error.name == "leancloud":
        return _LEANCLOUD
    if isinstance(error, ModuleNotFoundError) and error.name in _PYTHON_2:
        return f"; {error.name} is of Python 2; in Python 3 use {_PYTHON_2[error.name]}"
    return f"; {_PATCHED}" if _threads_are_patched() else ""


def _threads_are_patched() -> bool:
    patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
    return patched is not None and bool(patched("threading"))


def _place(error: BaseException, file: Path | None) -> str:
    """The error in one line, with the last line of the traceback that is in the user's own files."""
    what = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError):
        if error.lineno is None or "can't decode" in what:  # UTF-16, GBK, bytes that are not text
            return f"{what} (save the file as UTF-8)"
        return f"{what} ({_where(error.filename or '', file)}line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    folder = file.parent if file is not None else Path.cwd()
    own = [frame for frame in frames if _is_own(frame.filename, folder)]
    relevant = own or [frame for frame in frames if frame.filename != __file__]
    if not relevant:
        return what
    return f"{what} ({_where(relevant[-1].filename, file)}line {relevant[-1].lineno}: {relevant[-1].line})"


def _is_own(filename: str, folder: Path) -> bool:
    """Whether a file is the user's: in the folder of the loaded file, and not part of an installed package."""
    path = Path(filename)
    return path.is_relative_to(folder) and "site-packages" not in path.parts


def _where(filename: str, file: Path | None) -> str:
    """The name of a file, to put before its line; empty for the file that the message names already."""
    return "" if file is not None and Path(filename) == file else f"{Path(filename).name}, "


def _named(module: ModuleType, attribute: str, name: str) -> Any:
    try:
        application = getattr(module, attribute)
    except AttributeError:
        raise TargetError(f"{name}: the module has no attribute {attribute!r}") from None
    if not _holds_functions(application):
        raise TargetError(f"{name} is a {type(application).__name__}, not an engine; expected engine = Engine(app)")
    return application


def _only(module: ModuleType, name: str) -> Any:
    held = {id(value): (key, value) for key, value in vars(module).items() if _holds_functions(value)}
    if not held:
        raise TargetError(f"{name} has no engine; it needs a line like: engine = Engine()")
    if len(held) > 1 and (full := _with_all_functions(dict(held.values()))) is not None:
        return full
    if len(held) > 1:
        names = ", ".join(key for key, _ in held.values())
        raise TargetError(f"{name} has several engines ({names}); name the one to use: {name}:{names.split(',')[0]}")
    return next(iter(held.values()))[1]


def _with_all_functions(named: Mapping[str, Any]) -> Any:
    """The engine that includes the functions of all others, as after `engine.register(other)`; None if none does."""
    functions = {name: set(registry_of(value).names()) for name, value in named.items()}
    every = set().union(*functions.values())
    full = [name for name in named if functions[name] == every] if all(functions.values()) else []
    usual = [name for name in full if name == "engine"]
    return named[(usual or full)[0]] if len(full) == 1 or usual else None


def _holds_functions(value: Any) -> bool:
    # Not hasattr(value, …), because proxies and mocks have every attribute.
    if isinstance(value, Registry):
        return True
    defined = hasattr(type(value), "registry") or "registry" in getattr(value, "__dict__", {})
    return defined and isinstance(getattr(value, "registry", None), Registry)


def registry_of(application: Any) -> Registry:
    """The registry of an engine, or the registry itself; TargetError for anything else."""
    if not _holds_functions(application):
        raise TargetError(f"{application!r} holds no functions; expected an Engine or a Registry")
    registry: Registry = application if isinstance(application, Registry) else application.registry
    return registry
