"""PreviewSource: the sources of environment stage, in a folder beside those of production.

Lives here: the folder and its target, and checking its functions in a process of its own. Never here: serving them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.timer import Environment
from ..errors import ConfigError, SchedulerError, TargetError
from ..formats.error_text import explained
from ..own_programs import command
from .function_check import FunctionProblem, load_functions
from .project import Project, current_project

_LOAD_TIMEOUT_S = 60.0

#: The name of a function and the parameters to check, None for any parameters.
CallToCheck = tuple[str, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class PreviewSource:
    """The folder of the stage's functions, and the target there."""

    folder: Path
    target: str

    @classmethod
    def find(cls, project: Project, folder: str | None, target: str | None) -> PreviewSource:
        """The sources in `folder`, or else in the project's; the target is the given one, or else the usual file."""
        path = Path(folder).expanduser().resolve() if folder else project.settings.folder
        if not path.is_dir():
            raise ConfigError(f"--stage-source {folder}: there is no such folder")
        name = Project(replace(project.settings, folder=path)).required_target_name(target)
        return cls(path, name)

    def check(self, project: Project, calls: Sequence[CallToCheck]) -> list[FunctionProblem | None]:
        """The error of each call's function or parameters, if any; TargetError if the functions do not load.

        Another process loads the sources, because two source trees with a module `cloud` cannot share one process.
        """
        process = subprocess.Popen(
            command("scheduler.project.preview_sources", self.target),
            cwd=self.folder,
            env={
                **os.environ,
                "LEANCLOUD_APP_ENV": Environment.STAGE.value,
                "SCHEDULER_STORE": project.settings.store_url,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        with process:
            try:
                output, _ = process.communicate(json.dumps(calls), timeout=_LOAD_TIMEOUT_S)
                answers = json.loads(output.rstrip().rpartition("\n")[2])
            except subprocess.TimeoutExpired:
                process.kill()
                raise TargetError(f"{self.target}: not loaded within {_LOAD_TIMEOUT_S:g} s") from None
            except ValueError:
                raise TargetError(f"{self.target}: the process that loads it ended without an answer") from None
        if isinstance(answers, str):
            raise TargetError(answers)
        return [answer and FunctionProblem(*answer) for answer in answers]


def main() -> None:
    """The program of that process: calls on stdin, answers or an error message on stdout, both as JSON."""
    calls = json.load(sys.stdin)
    try:
        functions = load_functions(current_project(), sys.argv[1])
        answers: Any = [functions and functions.problem(*call) for call in calls]
    except SchedulerError as error:
        answers = explained(error)
    print(f"\n{json.dumps(answers)}", flush=True)
    os._exit(0)  # threads that the sources have started must not keep this process alive


if __name__ == "__main__":
    main()
