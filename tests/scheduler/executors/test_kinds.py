"""The table of executor kinds, and a kind that another distribution brings, by a real entry point."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from scheduler.errors import ConfigError
from scheduler.executors import kinds
from scheduler.project.setting_table import DURABILITIES, SETTINGS
from scheduler.project.settings import read_settings
from tests.scheduler.up_process import cli, up

PLUGIN = """
from datetime import UTC, datetime

from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Outcome
from scheduler.executors import Report
from scheduler.executors.kinds import ExecutorKind, ExecutorSetting


class EchoExecutor:
    # Ends every task at once, with the greeting as its result.
    def __init__(self, greeting):
        self._greeting, self._report = greeting, Report()

    def submit(self, tasks):
        now = datetime.now(UTC)
        for task in tasks:
            result = f"{self._greeting}, {task.function}"
            self._report.ended.append((task, Ending(Outcome.SUCCEEDED, Verdict.GOOD, now, now, result=result)))

    def collect(self):
        report, self._report = self._report, Report()
        return report

    def filenos(self):
        return []

    def next_check(self):
        return 0.0 if self._report else None

    def stop(self):
        pass


def make(deployment):
    return EchoExecutor(deployment.settings["greeting"])


def check(deployment):
    yield f"says {deployment.settings['greeting']} to {deployment.target()}"


KIND = ExecutorKind(
    make=make,
    check=check,
    settings=(ExecutorSetting(name="greeting", needed='"hello", what to say', is_of_environment=True),),
)
"""
CLOUD = "from scheduler.engine import Engine\n\nengine = Engine()\n\n\n@engine.define\ndef here():\n    return 1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "cloud.py").write_text(CLOUD)
    return tmp_path / "project"


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a program that finds an installed distribution with an executor."""
    site = tmp_path / "site"
    (site / "echo-1.0.dist-info").mkdir(parents=True)
    (site / "echo_executor.py").write_text(PLUGIN)
    (site / "echo-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: echo\nVersion: 1.0\n")
    (site / "echo-1.0.dist-info" / "entry_points.txt").write_text(
        "[scheduler.executors]\necho = echo_executor:KIND\nnone = echo_executor:make\nbroken = no_such_module:KIND\n"
    )
    return {"PYTHONPATH": str(site)}


def settings(folder: Path, text: str) -> None:
    (folder / "scheduler.toml").write_text(text)


@pytest.mark.slow
def test_a_kind_from_outside_runs_functions(folder: Path, environ: Mapping[str, str]) -> None:
    """In `up`, with a setting of its own from the file, for one environment from a variable; the doctor checks it."""
    settings(folder, 'executor = "echo"\ngreeting = "hello"\n')
    environ = {**environ, "SCHEDULER_STAGE_GREETING": "hi"}
    with up(folder, "cloud.py", **environ):
        for environment, greeting in ("production", "hello"), ("stage", "hi"):
            words = ("t", "--env", environment)
            added = cli(folder, "timers", "add", *words, "--function", "here", "--every", "86400", **environ)
            assert added.returncode == 0, added.stderr
            done = cli(folder, "timers", "run", *words, "--wait", "--json", **environ)
            assert json.loads(done.stdout)["result"] == f"{greeting}, here"
    looked = cli(folder, "doctor", "--json", **environ)
    found = [finding["text"] for finding in json.loads(looked.stdout) if finding["name"] == "workers"]
    assert found == ["says hello to cloud.py", "says hi to cloud.py"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('executor = "echo"\n', 'executor = "echo" needs greeting = "hello", what to say'),
        ('executor = "echo"\ngreating = "hello"\n', "unknown setting 'greating'; did you mean 'greeting'?"),
        ('executor = "rocket"\n', "expected process or thread or http or celery or echo or none or broken"),
        ('executor = "none"\n', "the executor 'none': echo_executor:make is a function, not an ExecutorKind"),
        (
            'executor = "broken"\n',
            "the executor 'broken' cannot be loaded from no_such_module:KIND: ModuleNotFound",
        ),
    ],
)
def test_a_mistake_with_a_kind_from_outside_is_named(
    folder: Path, environ: Mapping[str, str], text: str, words: str
) -> None:
    """As one with a kind of the table is, before anything starts."""
    settings(folder, text)
    refused = cli(folder, "timers", "list", **environ)
    assert refused.returncode == 2
    assert words in refused.stderr


@pytest.mark.slow
def test_an_option_names_a_kind_from_outside(folder: Path, environ: Mapping[str, str]) -> None:
    """Names that are in no table and of no entry point are refused with the table's."""
    refused = cli(folder, "up", "--executor", "echo", **environ)
    assert 'the option --executor: executor = "echo" needs greeting' in refused.stderr
    refused = cli(folder, "up", "--executor", "rocket", **environ)
    assert "'rocket' is not one of 'process', 'thread', 'http', 'celery'" in refused.stderr


@pytest.mark.parametrize("name", kinds.KINDS)
def test_every_setting_of_a_kind_is_a_setting_of_the_service(name: str, tmp_path: Path) -> None:
    """With the default of its row."""
    for setting in kinds.KINDS[name].settings:
        assert setting.name in SETTINGS
        assert read_settings(tmp_path, {}, {}).executor_setting(setting.name) == setting.default


def test_a_name_of_no_kind_is_refused() -> None:
    """With those that exist."""
    with pytest.raises(ConfigError, match="unknown executor 'rocket': expected process or thread or http or celery"):
        kinds.kind("rocket")


def test_only_the_table_names_a_built_in_kind() -> None:
    """A new kind is a file, or a room, and one row: no other file of the project's edges lists kinds."""
    root = Path(kinds.__file__).parents[1]
    listing = {
        f"{path.relative_to(root)}:{node.lineno}"
        for path in root.rglob("*.py")
        if path.relative_to(root).parts[0] in ("project", "up", "doctor", "cli") and path.name != "demo_cloud.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and node.value in kinds.KINDS
        # The values of other settings may have the name of a kind.
        and not (node.value in DURABILITIES and path.name == "setting_table.py")
    }
    allowed = {f"project/settings.py:{_line_of_default(root / 'project' / 'settings.py')}"}
    assert listing <= allowed


def _line_of_default(path: Path) -> int:
    """Where the setting `executor` has its default."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip() == 'executor: str = "process"')
