"""EarlierNames: imports modules by their names in earlier versions, for pickles, settings and running daemons.

It is a finder of the import system (PEP 451), and the last one, so it costs nothing for modules that exist.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any


class EarlierNames:
    """Finds modules by their earlier names; `moved` maps each earlier name to the present one.

    >>> import sys
    >>> sys.meta_path.append(EarlierNames({"scheduler.before": "scheduler.errors"}))
    >>> from scheduler.before import SHORT_CIRCUITED
    >>> SHORT_CIRCUITED
    'timerAction short-circuited and no fallback available.'
    """

    def __init__(self, moved: Mapping[str, str]) -> None:
        self._moved = moved

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        if name not in self._moved:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Return None to use the default module object."""

    def get_code(self, name: str) -> CodeType:
        """The code that runs the module under its present name, for `python -m`."""
        program = (
            f"from runpy import run_module; run_module({self._moved[name]!r}, run_name='__main__', alter_sys=True)"
        )
        return compile(program, f"<{name}>", "exec")

    def exec_module(self, module: ModuleType) -> None:
        """Delegate attribute access to the renamed module."""
        from importlib import import_module

        contents = import_module(self._moved[module.__name__])

        def hand_on(name: str) -> Any:
            return getattr(contents, name)

        module.__getattr__ = hand_on  # type: ignore[method-assign]
