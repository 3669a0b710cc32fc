"""missing_target: a folder without wsgi.py and cloud.py, with the file that probably has the functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.project.missing_target import missing_target
from tests.scheduler.command_line import CLOUD, CommandLine


@pytest.mark.parametrize("file", ["app.py", "shop/__init__.py"])
def test_the_only_file_with_an_engine_is_named(file: str, command_line: CommandLine) -> None:
    """A module or a package; with the target that the message names, the functions are found."""
    (command_line.folder / file).parent.mkdir(exist_ok=True)
    command_line.write(file, CLOUD)
    command_line.write("test_app.py", CLOUD)
    command_line.write("other.py", "import app\n")
    target = file.partition("/")[0]
    wanted = f'but an engine in {target}: put target = "{target}" into scheduler.toml'
    refused = command_line.run("call", "hello")
    assert refused.exit_code == 2
    assert wanted in " ".join(refused.stderr.split())
    command_line.write("scheduler.toml", f'target = "{target}"\n')
    assert command_line.run("call", "hello", "--json").exit_code == 0


def test_nothing_is_proposed_where_there_is_a_choice(tmp_path: Path) -> None:
    """Two files with an engine, or none."""
    missing = f"there is neither a wsgi.py nor a cloud.py in {tmp_path}"
    assert missing_target(tmp_path) == missing
    for name in ("app.py", "site.py"):
        (tmp_path / name).write_text(CLOUD)
    assert missing_target(tmp_path) == missing


def test_a_cloud_py_that_cannot_be_loaded_is_described(tmp_path: Path) -> None:
    """A link to nothing, a folder."""
    path = tmp_path / "cloud.py"
    path.symlink_to("gone.py")
    assert missing_target(tmp_path) == f"{path} is a link to gone.py, which does not exist"
    path.unlink()
    path.mkdir()
    assert missing_target(tmp_path) == f"{path} is a folder"
