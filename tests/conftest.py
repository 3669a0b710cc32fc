"""The option --all, the processes of the short suite, settings of Hypothesis, and fixtures of several rooms."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scheduler.command_line import CommandLine

#: Variables that would change what the commands do.
_PREFIXES = ("SCHEDULER_", "LEANCLOUD_", "LC_APP_")
#: Read by tests, not by the service.
_OF_TESTS = {"SCHEDULER_FAULTS"}
#: By default Hypothesis fails an example that takes 0.2 s and examples that are slow to generate, as on a busy machine.
#: In CI the examples follow from the code, so that a change fails for what it does; elsewhere they are drawn anew.
settings.register_profile(
    "a busy machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
#: Where the same code has been tried in full with other dependencies; the other numbers of examples follow this one
#: (tests/example_counts.py).
settings.register_profile("a second run", settings.get_profile("a busy machine"), max_examples=25)
settings.load_profile("a busy machine")
#: Filled by `pytest_collection_modifyitems`, read by `pytest_terminal_summary`.
_LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests too, which take about ten minutes")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the suite in three processes, and with the slow tests, which mostly wait, in six, unless -n says otherwise.

    Chosen files run in this process.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # one of them, which must not start more
    # Each of the thousand processes that tests start would compile every module that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not is_whole or config.getoption("usepdb") or config.getoption("numprocesses", 0) is not None:
        return
    config.option.numprocesses = 6 if config.getoption("--all") else 3
    if config.option.dist == "no":
        # The tests of a file run one after another, so that few servers are started; idle processes take what is left.
        config.option.dist = "worksteal"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """When only slow tests run, leave out modules without any; else every process would import them."""
    if config.option.markexpr not in {"slow", "faults"} or not collection_path.name.startswith("test_"):
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if "mark.slow" in text or "mark.faults" in text else True


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect with the garbage collector off, because imports leave little garbage."""
    gc.disable()
    try:
        if "PYTEST_XDIST_WORKER" in os.environ and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
            _import_modules(session.config)
        return (yield)
    finally:
        gc.enable()


def _import_modules(config: pytest.Config) -> None:
    """Import the modules of tests before they are collected; each process begins at a different one.

    In a new checkout, all processes would else compile the same modules at the same time, 15 seconds each.
    """
    files = [
        file for file in sorted(Path(__file__).parent.rglob("test_*.py")) if not pytest_ignore_collect(file, config)
    ]
    names = [".".join(file.relative_to(config.rootpath).with_suffix("").parts) for file in files]
    worker, workers = int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    begin = len(names) * worker // workers
    for name in names[begin:] + names[:begin]:
        # A module that fails or skips itself here does so again when it is collected.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out unless --all was given; tests of faults are slow ones."""
    for item in items:
        if item.get_closest_marker("faults"):
            item.add_marker("slow")
    if config.getoption("--all"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.stash[_LEFT_OUT] = len(slow)
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_runtest_setup() -> None:
    for name in set(os.environ) - _OF_TESTS:
        # Set by the user who runs the tests, or by code that a fixture of another module has loaded in this process.
        if name.startswith(_PREFIXES):
            del os.environ[name]
    # A command that a test ran in this process has hidden all objects from the collector, and so from Hypothesis, which
    # looks for what refers to its generator.
    gc.unfreeze()
    waiting.begin_test()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes hands on what it left out; each of them has left out the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if left_out := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[_LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left_out := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"{left_out} slow tests left out; run them too with --all")


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A process that a test kills leaves its temporary folder behind, in one that is removed after the last test."""
    tmp_path_factory.getbasetemp()  # those of failed tests stay, in pytest's own
    with (
        tempfile.TemporaryDirectory(prefix="tests-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o711)  # for servers that run as another user
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """A test may run commands and load code in this process; what they set would be a setting of the next test."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line in an empty folder, with no settings in the environment."""
    from tests.scheduler.command_line import CommandLine

    for name in [name for name in os.environ if name.startswith(_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path)
