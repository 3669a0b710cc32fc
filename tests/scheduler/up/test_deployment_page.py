"""The page on deployment: its unit, its settings, gunicorn, backup and restore."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.project.settings import read_settings
from scheduler.store.schema import metadata
from tests.scheduler.migration_page import DEPLOYMENT, DOCS, commands, deployment_files, files, variables
from tests.scheduler.up_process import clean_environ, cli, fetch, up
from tests.waiting import PATIENCE_S, eventually

CLOUD = "from scheduler.engine import Engine\nengine = Engine()\n\n@engine.define\ndef hello():\n    return 'hi'\n"


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page, whose `scheduler` and `python3` are those of the tests."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, words in (("scheduler", "-m scheduler "), ("python3", "")):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        (folder / "bin" / name).chmod(0o755)
    environ = clean_environ() | {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_a_backup_is_made_while_the_service_runs_and_restored(tmp_path: Path) -> None:
    """By the page's commands: timers and history are those of the backup; the list goes to another store."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    make, restore = commands(DEPLOYMENT)[-5:-2], commands(DEPLOYMENT)[-2:]
    assert (make[0], restore[0]) == ("umask 077", "cp store-backup.db .scheduler/store.db")
    with up(tmp_path, "--workers", "1") as running:
        assert cli(tmp_path, "timers", "add", "t", "--function", "hello", "--every", "86400").returncode == 0
        assert cli(tmp_path, "timers", "run", "t", "--wait").returncode == 0
        made = shell(tmp_path, "\n".join(make))
        assert made.returncode == 0, made.stderr
        assert cli(tmp_path, "timers", "add", "later", "--function", "hello", "--every", "5").returncode == 0
        assert running.stop()[0] == 0
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("store-backup.db", "timers-backup.csv")} == {0o600}
    restored = shell(tmp_path, "\n".join(restore))
    assert restored.returncode == 0, restored.stderr
    with up(tmp_path, "--workers", "1"):
        (timer,) = json.loads(cli(tmp_path, "timers", "list", "--json").stdout)
        (run,) = json.loads(cli(tmp_path, "runs", "--json").stdout)
    assert (timer["name"], run["outcome"]) == ("t", "succeeded")
    assert cli(tmp_path, "timers", "import", "timers-backup.csv", "--store", "elsewhere.db").returncode == 0
    assert len(json.loads(cli(tmp_path, "timers", "list", "--json", "--store", "elsewhere.db").stdout)) == 1


@pytest.mark.slow
def test_gunicorn_serves_a_project(tmp_path: Path) -> None:
    """By the command of the page, on another port."""
    pytest.importorskip("gunicorn")
    for name in ("cloud.py", "wsgi.py", "app.py"):
        (tmp_path / name).write_text(files()[name])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = next(line for line in commands(DEPLOYMENT) if line.startswith("gunicorn "))
    process = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(line.replace(":3000", f":{port}"))],
        cwd=tmp_path,
        env=clean_environ() | variables(),
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _is_up(port))
        assert fetch(f"http://127.0.0.1:{port}/") == (200, "a page")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _is_up(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd")
def test_the_systemd_unit_is_valid(tmp_path: Path) -> None:
    """systemd-analyze reports nothing."""
    unit, program = tmp_path / "shop.service", tmp_path / "scheduler"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = deployment_files()["shop.service"].replace("/srv/shop/.venv/bin/scheduler", str(program))
    unit.write_text(text.replace("User=shop\n", ""))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert "shop.service" not in ran.stderr, ran.stderr
    assert "--env production --port 3000" in text


def test_the_unit_waits_longer_than_the_service(tmp_path: Path) -> None:
    """A shorter TimeoutStopSec would kill functions that are in progress."""
    (line,) = [line for line in deployment_files()["shop.service"].splitlines() if line.startswith("TimeoutStopSec=")]
    assert float(line.partition("=")[2]) > read_settings(tmp_path, {}, {}).stop_timeout_s


def test_the_scheduler_toml_of_the_page_is_valid(tmp_path: Path) -> None:
    """It is read without a change."""
    (tmp_path / "scheduler.toml").write_text(deployment_files()["scheduler.toml"])
    settings = read_settings(tmp_path, {}, {})
    assert (settings.store, settings.tz, settings.keep_days) == ("/srv/shop/.scheduler/store.db", "Europe/Berlin", 30)


@pytest.mark.parametrize(("page", "heading"), [(DEPLOYMENT, "Removal"), ("deployment.zh-CN.md", "卸载")])
def test_the_tables_that_removal_drops_are_those_of_the_store(page: str, heading: str) -> None:
    """Of PostgreSQL."""
    section = (DOCS / page).read_text().partition(f"## {heading}")[2].partition("\n## ")[0]
    assert {name for name in metadata.tables if f"`{name}`" in section} == set(metadata.tables)
