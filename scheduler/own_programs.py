"""The command that runs a module of this package in a new process, wherever this process has found the package."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from .errors import ConfigError

#: Runs a module with folders on the import path, ahead of installed packages but behind the standard library.
_WITH_FOLDERS = """\
import json, runpy, sys
paths, module = json.loads(sys.argv[1]), sys.argv[2]
del sys.argv[1:3]
at = next((i for i, path in enumerate(sys.path) if path.endswith("-packages")), len(sys.path))
sys.path[at:at] = [path for path in paths if path not in sys.path]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package; files of the working folder shadow none that it imports.

    ConfigError if this program has no Python interpreter.

    >>> command("scheduler.up.program", "web")[-2:]
    ['scheduler.up.program', 'web']
    """
    # -P: else the working folder would come first on the import path.
    if not (folders := _folders_to_name()):
        return [interpreter(), "-P", "-m", module, *arguments]
    return [interpreter(), "-P", "-c", _WITH_FOLDERS, json.dumps(folders), module, *arguments]


def interpreter() -> str:
    """The Python interpreter of this process; ConfigError if it has none.

    In a frozen program, `sys.executable` is that program, which would start itself again and again. In a server that
    embeds Python, such as uWSGI, it may be the server: its interpreter is that of the environment.
    """
    if getattr(sys, "frozen", False):
        raise ConfigError(
            f"{sys.executable} is a frozen program without a Python interpreter, and starts no processes for functions "
            "or alerts: give the Scheduler an Engine or a Registry, whose functions run in threads, and no alerts"
        )
    executable = sys.executable or ""
    if os.path.basename(executable).startswith(("python", "pypy")):  # noqa: PTH119
        return executable
    names = ("python{}.{}".format(*sys.version_info), "python3")
    found = [path for name in names if os.access(path := os.path.join(sys.prefix, "bin", name), os.X_OK)]  # noqa: PTH118
    # An interpreter may have any name.
    if not (chosen := [*found, executable][0]):
        raise ConfigError(
            f"no Python interpreter was found in {sys.prefix}/bin to start processes with; set sys.executable to it"
        )
    return chosen


@cache
def _folders_to_name() -> tuple[str, ...]:
    """The import path that a new interpreter lacks, as in an archive of zipapp, pex or shiv; usually empty.

    Computed once: later, the import path has folders of the user.
    """
    root = str(Path(__file__).parents[1])
    found = _found_by_itself()
    if os.path.realpath(root) in found:
        return ()
    others = [path for path in sys.path if path and os.path.realpath(path) not in found]
    return tuple(dict.fromkeys([root, *others]))


def _found_by_itself() -> set[str]:
    """The folders in which a new interpreter looks for packages."""
    import site

    folders = [*site.getsitepackages(), site.getusersitepackages()]
    lines = [line for folder in folders for line in _lines(folder)]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {os.path.realpath(path) for path in (*folders, *lines, *given) if path}


def _lines(folder: str) -> Iterator[str]:
    """The folders that the .pth files of a folder add; none if it is missing, or closed to this user."""
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208
            if name.endswith(".pth"):
                text = Path(folder, name).read_text(encoding="utf-8", errors="replace")
                yield from (os.path.join(folder, line) for line in text.splitlines())  # noqa: PTH118
