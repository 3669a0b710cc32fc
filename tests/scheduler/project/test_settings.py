"""Settings: where they come from, which is the stronger one, and how a bad one is answered."""

import os
from pathlib import Path

import pytest

from scheduler.errors import ConfigError
from scheduler.project.settings import EnvironmentSettings, Settings, read


def write(folder: Path, text: str) -> None:
    (folder / "scheduler.toml").write_text(text)


def test_without_any_settings_the_defaults_hold(tmp_path: Path) -> None:
    """The specification's defaults: port 3000, five timers, UTC+8, 15 s."""
    config = read(tmp_path, {}, {})
    assert config == Settings(folder=tmp_path)
    assert (config.port, config.max_timers, config.tz, config.limit_s) == (3000, 5, "Asia/Shanghai", 15.0)
    assert config.store_url == str(tmp_path / ".scheduler/store.db")
    assert config.origin("port") == "the default"


def test_a_stronger_source_wins(tmp_path: Path) -> None:
    """Option, then LeanCloud's variable, then ours, then the file, then the default."""
    write(tmp_path, "port = 1\nworkers = 3\n")
    ours, theirs = {"SCHEDULER_PORT": "2"}, {"LEANCLOUD_APP_PORT": "3"}
    assert read(tmp_path, {}, {}).port == 1
    assert read(tmp_path, ours, {}).port == 2
    assert read(tmp_path, ours | theirs, {}).port == 3
    config = read(tmp_path, ours | theirs, {"port": 4})
    assert (config.port, config.origin("port")) == (4, "the option --port")
    assert (config.workers, config.origin("workers")) == (3, str(tmp_path / "scheduler.toml"))


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("other.db", "{folder}/other.db"),
        ("/tmp/other.db", "/tmp/other.db"),
        ("sqlite:////tmp/other.db", "sqlite:////tmp/other.db"),
        ("postgresql://me@host/timers", "postgresql://me@host/timers"),
    ],
)
def test_a_store_is_a_path_or_a_url(tmp_path: Path, given: str, opened: str) -> None:
    """A relative path starts at the folder of the settings."""
    assert read(tmp_path, {"SCHEDULER_STORE": given}, {}).store_url == opened.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "there is no setting 'prot'; did you mean 'port'?"),
        ("zzzzzz = 1", "there is no setting 'zzzzzz'; settings are target, store, "),
        ("port = 70000", "port = 70000 cannot be; it is a whole number from 0 to 65,535"),
        ("port = true", "port = True cannot be"),
        ("port = [1]", "port = [1] cannot be"),
        ("store = ' '", "it is a text that is not blank"),
        ("limit_s = 0", "it is a number of seconds, more than 0 and at most 86400"),
        ("environment = 'prod'", "it is production or stage or development"),
        ("tz = 'Asia/Shangai'", "did you mean 'Asia/Shanghai'?"),
        ("workers = 9\nmax_workers = 8", "workers = 9 cannot be more than max_workers = 8"),
        ("port = ", "no TOML: "),
        (f"port = {'[' * 100_000}", "no TOML: "),
        (f"# {'x' * 1_000_000}", "has 1,000,002 bytes; settings take at most 1,000,000"),
    ],
)
def test_a_bad_setting_says_where_it_stands_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the setting and the fix."""
    write(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, {}, {})
    assert str(tmp_path / "scheduler.toml") in str(refused.value)
    assert message in str(refused.value)


def test_settings_are_read_from_a_file_alone(tmp_path: Path) -> None:
    """A pipe would keep every command waiting."""
    os.mkfifo(tmp_path / "scheduler.toml")
    with pytest.raises(ConfigError, match="no file; settings stand in a file"):
        read(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("environ", "options", "origin"),
    [
        ({"LEANCLOUD_APP_PORT": "http"}, {}, "the environment variable LEANCLOUD_APP_PORT: port"),
        ({}, {"environment": "prod"}, "the option --env: environment"),
        ({}, {"max_timers": -1}, "the option --max-timers: max_timers"),
    ],
)
def test_a_bad_value_is_blamed_on_its_origin(
    tmp_path: Path, environ: dict[str, str], options: dict[str, object], origin: str
) -> None:
    """Whoever reads the message knows which of three places to change."""
    with pytest.raises(ConfigError, match=f"^{origin}"):
        read(tmp_path, environ, options)


def test_the_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes a setting behind another's back."""
    config = read(tmp_path, {}, {})
    with pytest.raises(AttributeError):
        config.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environ", "environment"),
    [
        ({"LC_APP_PROD": "1"}, "production"),
        ({"LC_APP_PROD": "0"}, "stage"),
        ({"LEANCLOUD_APP_PROD": "0", "LC_APP_PROD": "1"}, "stage"),
        ({"LC_APP_ENV": "stage", "LC_APP_PROD": "1"}, "stage"),
        ({"LEANCLOUD_APP_ENV": "development", "LC_APP_PROD": "1"}, "development"),
    ],
)
def test_the_old_variable_for_the_environment(tmp_path: Path, environ: dict[str, str], environment: str) -> None:
    """LC_APP_PROD is 1 or 0; a variable that names the environment is stronger."""
    assert read(tmp_path, environ, {}).environment == environment


def test_another_value_of_the_old_variable_is_refused(tmp_path: Path) -> None:
    """And the variable is named."""
    with pytest.raises(ConfigError, match="the environment variable LC_APP_PROD: environment = '2' cannot be"):
        read(tmp_path, {"LC_APP_PROD": "2"}, {})


def test_an_environment_may_have_its_own(tmp_path: Path) -> None:
    """In a table of its name, or in a variable; what it does not have is that of all."""
    write(tmp_path, 'executor = "thread"\nremote_engine = "http://a"\n[stage]\nexecutor = "http"\ntarget = "s.py"\n')
    config = read(tmp_path, {"SCHEDULER_STAGE_REMOTE_ENGINE": "http://b"}, {})
    assert config.deployment("production") == EnvironmentSettings("thread", None, "http://a")
    assert config.deployment("stage") == EnvironmentSettings("http", "s.py", "http://b")
    assert [config.deployment(name).runs_what_is_served for name in ("production", "stage")] == [True, False]
    assert config.origin("stage_target") == str(tmp_path / "scheduler.toml")
