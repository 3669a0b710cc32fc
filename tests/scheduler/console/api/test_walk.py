"""The walk with curl of docs/management-api.md, against a real service; and whatever the document allows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.test_documents import blocks_of
from tests.waiting import slowed

pytestmark = pytest.mark.slow

#: The sources that the page begins with.
CLOUD = next(text for language, text in blocks_of("docs/management-api.md") if language == "python")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_walk_goes_through(tmp_path: Path) -> None:
    """Each command of the page in one shell, stopping at the first that fails; with what it should leave behind."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with Service(tmp_path) as service:
        blocks = [text for language, text in blocks_of("docs/management-api.md") if language == "sh"][1:]
        script = "set -euo pipefail\n" + "".join(blocks)
        assert "http://127.0.0.1:3001" in script
        script = script.replace("http://127.0.0.1:3001", service.address)
        done = service.run("bash", "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"outcome": "succeeded"' in done.stdout
    assert "saying hello to curl" in done.stdout
    assert '"status": 412' in done.stdout
    assert '"author": "robot"' in done.stdout


SCHEMATHESIS = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")


@pytest.mark.skipif(SCHEMATHESIS is None, reason="needs schemathesis")
def test_no_request_of_the_document_breaks_it(tmp_path: Path) -> None:
    """Allowed requests and others: no fault, no answer that the document lacks, nothing accepted that it forbids."""
    assert SCHEMATHESIS is not None
    (tmp_path / "cloud.py").write_text(CLOUD)
    with Service(tmp_path) as service:
        token = service.run("scheduler", "console", "tokens", "add", "robot", "--role", "operator").stdout.strip()
        service.run("scheduler", "timers", "add", "report", "--function", "hello", "--every", "3600", "--no-check")
        api = f"{service.address}/api/1"
        done = service.run(
            *(SCHEMATHESIS, "run", f"{api}/openapi.json", "--url", api, "-H", f"Authorization: Bearer {token}"),
            *(
                "--max-examples",
                "8",
                "--max-time",
                "90",
                "--phases",
                "examples,coverage,fuzzing",
                "--seed",
                "1",
                "--no-color",
            ),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance"),
            # It would end its own token, or hold the service up.
            *("--exclude-path-regex", "^/(tokens|import)", "--exclude-name", "GET /runs/{run_id}"),
            *("--suppress-health-check", "all", "--request-timeout", "60"),
            timeout=slowed(240),
        )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]


class Service:
    """`scheduler console` and a daemon in a folder, as real processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._environ |= {"PYTHONPATH": str(ROOT)}
        self.address = ""

    def __enter__(self) -> Service:
        words = [sys.executable, "-m", "scheduler", "up", "--port", "0"]
        (self._folder / "scheduler.toml").write_text("console = false\n")
        self._up = subprocess.Popen(
            words, cwd=self._folder, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._up.stdout is not None
        for line in self._up.stdout:
            if "ready" in line or "http://" in line:
                break
        self._console = subprocess.Popen(
            [sys.executable, "-m", "scheduler", "console", "--port", "0", "--json"],
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._console.stdout is not None
        found = re.search(r'"url": "(http://[^"]+?)/?"', self._console.stdout.readline())
        assert found is not None
        self.address = found[1]
        return self

    def run(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        if words[0] == "scheduler":
            words = (sys.executable, "-m", *words)
        return subprocess.run(
            words, cwd=self._folder, env=self._environ, capture_output=True, text=True, timeout=timeout, check=False
        )

    def __exit__(self, *_: object) -> None:
        for process in (self._console, self._up):
            process.terminate()
        for process in (self._console, self._up):
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()
