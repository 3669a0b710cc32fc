"""Where the functions of environment stage stand, beside those of production.

Lives here: the folder and what holds them, and asking a process of its own about them. Never here: serving them.
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
from .function_check import Fault, functions_at_hand
from .project import Project, here

_LOADED_WITHIN_S = 60.0

Question = tuple[str, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class PreviewSource:
    """Where the stage's functions stand, and what holds them there."""

    folder: Path
    target: str

    @classmethod
    def of(cls, place: Project, folder: str | None, target: str | None) -> PreviewSource:
        """The stage's sources beside those of production: another folder, and in it the same or the usual target."""
        there = Path(folder).expanduser().resolve() if folder else place.config.folder
        if not there.is_dir():
            raise ConfigError(f"--stage-source {folder}: there is no such folder")
        found = Project(replace(place.config, folder=there)).needed_target_name(target)
        return cls(there, found)

    def faults(self, place: Project, questions: Sequence[Question]) -> list[Fault | None]:
        """What is wrong with these functions and their parameters, one answer each; TargetError if they do not load.

        The sources are loaded by another process: two source trees that both have a `cloud` cannot share one.
        """
        asked = subprocess.Popen(
            [sys.executable, "-m", "scheduler.project.preview_sources", self.target],
            cwd=self.folder,
            env={**os.environ, "LEANCLOUD_APP_ENV": Environment.STAGE.value, "SCHEDULER_STORE": place.config.store_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        with asked:
            try:
                told, _ = asked.communicate(json.dumps(questions), timeout=_LOADED_WITHIN_S)
                answers = json.loads(told.rstrip().rpartition("\n")[2])
            except subprocess.TimeoutExpired:
                asked.kill()
                raise TargetError(f"{self.target}: not loaded within {_LOADED_WITHIN_S:g} s") from None
            except ValueError:
                raise TargetError(f"{self.target}: the process that loads it ended without a word") from None
        if isinstance(answers, str):
            raise TargetError(answers)
        return [answer and Fault(*answer) for answer in answers]


def main() -> None:
    """The program of that process: questions on stdin, answers or an error on stdout."""
    questions = json.load(sys.stdin)
    try:
        functions = functions_at_hand(here(), sys.argv[1])
        answers: Any = [functions and functions.fault(*question) for question in questions]
    except SchedulerError as error:
        answers = explained(error)
    print(f"\n{json.dumps(answers)}", flush=True)
    os._exit(0)  # whatever threads the sources have started


if __name__ == "__main__":
    main()
