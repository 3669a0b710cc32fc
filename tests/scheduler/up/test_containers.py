"""The Dockerfile and compose.yaml of the examples, as far as they run without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from scheduler.cli import program
from scheduler.project.settings import read_settings
from tests.imports import ROOT
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import children, clean_environ, cli, fetch, living
from tests.waiting import PATIENCE_S, eventually

EXAMPLES = ROOT / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="a distribution of the sources has no examples")

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc")
KEYS = {"X-LC-Id": "change-me", "X-LC-Key": "change-me-too"}


def instruction(name: str) -> str:
    """The argument of an instruction of the Dockerfile, with its continued lines."""
    text = (EXAMPLES / "Dockerfile").read_text().replace("\\\n", " ")
    (found,) = re.findall(rf"^{name} (.*)$", text, re.MULTILINE)
    return str(found)


def image_environ() -> dict[str, str]:
    """What ENV sets."""
    return dict(word.split("=", 1) for word in instruction("ENV").split())


def composed() -> dict[str, Any]:
    """The services of compose.yaml that run our commands."""
    services = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]
    return {name: service for name, service in services.items() if "build" in service}


def keys() -> dict[str, str]:
    lines = (EXAMPLES / "keys.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def commands() -> list[Any]:
    """The CMD of the image, and the commands of the services."""
    own = [service["command"] for service in composed().values() if "command" in service]
    return [json.loads(instruction("CMD")), *own]


@pytest.mark.parametrize("words", commands() if EXAMPLES.is_dir() else [])
def test_a_command_is_one_of_the_command_line(words: list[str]) -> None:
    """With its options, and a file that the image has."""
    assert words[0] == "scheduler"
    command = program.get_command(click.Context(program), words[1])  # type: ignore[attr-defined]
    context = command.make_context(words[1], words[2:], resilient_parsing=False)
    target = context.params["target"]
    assert target is None or (EXAMPLES / target).is_file()


def test_the_environments_are_settings(tmp_path: Path) -> None:
    """A misspelt one would be refused at the start; the variables of keys are those that are read."""
    assert len(composed()) == 3
    for service in composed().values():
        settings = read_settings(tmp_path, image_environ() | service["environment"] | keys(), {})
        assert (settings.host, settings.executor, settings.rules) == ("0.0.0.0", "celery", "standard")
        assert settings.store_url.startswith("postgresql://")
        assert service["env_file"] == "keys.env"
    assert set(keys()) == {f"LEANCLOUD_APP_{name}" for name in ("ID", "KEY", "MASTER_KEY", "HOOK_KEY")}


def test_a_container_is_given_longer_to_stop_than_the_service_takes(tmp_path: Path) -> None:
    """Docker would kill it after 10 s."""
    for service in composed().values():
        assert float(service["stop_grace_period"].removesuffix("s")) > read_settings(tmp_path, {}, {}).stop_timeout_s


def test_what_the_dockerfile_copies_is_there() -> None:
    """From the root of the checkout."""
    text = (EXAMPLES / "Dockerfile").read_text()
    for source in re.findall(r"^COPY (\S+) ", text, re.MULTILINE):
        assert (ROOT / source).exists()
    assert "USER shop" in text


def _may_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def container(folder: Path, words: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command as process 1 of a pid namespace, in a folder with the cloud.py of the image."""
    shutil.copy(EXAMPLES / "cloud.py", folder)
    log = (folder / f"{words[1]}.log").open("ab")
    process = subprocess.Popen(
        [*UNSHARE, sys.executable, "-m", *words], cwd=folder, env=clean_environ() | environ, stdout=log, stderr=log
    )
    try:
        yield process
    finally:
        for pid in [*children(process.pid), process.pid]:
            if living(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        log.close()


def end(process: subprocess.Popen[bytes]) -> int:
    """Send process 1 the signal that Docker sends; returns the exit status."""
    (first,) = children(process.pid)
    os.kill(first, signal.SIGTERM)
    return process.wait(PATIENCE_S)


def answers(port: int) -> bool:
    try:
        return fetch(f"http://127.0.0.1:{port}/__engine/1/ping")[0] == 200
    except OSError:
        return False


def outcomes(folder: Path, **environ: str) -> list[str]:
    listed = cli(folder, "runs", "--json", **environ)
    return [run["outcome"] for run in json.loads(listed.stdout)] if listed.returncode == 0 else []


@pytest.mark.slow
@pytest.mark.skipif(not _may_unshare(), reason="no process namespace can be made here")
def test_the_command_of_the_image_as_process_1(tmp_path: Path) -> None:
    """It serves, passes its health check, fires the declared timer, and ends with status 0."""
    port = free_port()
    environ = image_environ() | {"SCHEDULER_PORT": str(port), **keys()}
    with container(tmp_path, json.loads(instruction("CMD")), environ) as process:
        eventually(lambda: answers(port))
        check = json.loads(instruction("HEALTHCHECK CMD"))
        assert subprocess.run([sys.executable, *check[1:]], env=os.environ | environ, check=False).returncode == 0
        assert fetch(f"http://127.0.0.1:{port}/1.1/functions/hello", KEYS, b"{}") == (200, '{"result":"hello, world"}')
        eventually(lambda: "succeeded" in outcomes(tmp_path, **environ))
        assert end(process) == 0, (tmp_path / "up.log").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not _may_unshare(), reason="no process namespace can be made here")
def test_the_services_of_compose_together(tmp_path: Path, postgres: Server) -> None:
    """Two daemons and a worker as processes 1: both serve one client's keys, and the worker runs the timer."""
    pytest.importorskip("celery")
    ports = {"one": free_port(), "two": free_port()}
    with postgres.database() as url, ExitStack() as stack:
        running, environ = [], {}
        for name, service in composed().items():
            environ = image_environ() | service["environment"] | keys() | {"SCHEDULER_STORE": url}
            port = {"SCHEDULER_PORT": str(ports[name])} if name in ports else {}
            folder = tmp_path / name
            folder.mkdir()
            words = service.get("command") or json.loads(instruction("CMD"))
            running.append(stack.enter_context(container(folder, words, environ | port)))
            if name == "one":  # the first one makes the tables
                eventually(lambda: answers(ports["one"]))
        eventually(lambda: answers(ports["two"]))
        for port_of in ports.values():
            url_of = f"http://127.0.0.1:{port_of}/1.1/functions/hello"
            assert fetch(url_of, KEYS, b"{}") == (200, '{"result":"hello, world"}')
        eventually(lambda: outcomes(tmp_path / "one", **environ).count("succeeded") >= 1)
        for process in running:
            assert end(process) == 0
