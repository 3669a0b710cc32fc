"""Settings: where they come from, which one is stronger, and the message for an invalid one."""

import os
from pathlib import Path

import pytest

from scheduler.errors import ConfigError
from scheduler.project.settings import EnvironmentSettings, Settings, read_settings
from scheduler.up.handover import VARIABLE as HANDOVER
from scheduler.workers.process_tree import MARK


def write(folder: Path, text: str) -> None:
    (folder / "scheduler.toml").write_text(text)


def test_without_any_settings_the_defaults_hold(tmp_path: Path) -> None:
    """Port 3000, a limit of 15 s for functions, none of timers."""
    settings = read_settings(tmp_path, {}, {})
    by_rules = {name: getattr(settings, name) for name in ("rules_because", "tz", "assumed_zone")}
    assert settings == Settings(folder=tmp_path, **by_rules)
    assert (settings.port, settings.max_timers, settings.limit_s) == (3000, 0, 15.0)
    assert settings.store_url == str(tmp_path / ".scheduler/store.db")
    assert settings.origin("port") == "the default"


def test_a_stronger_source_wins(tmp_path: Path) -> None:
    """Option, then LeanCloud's variable, then ours, then the file, then the default."""
    write(tmp_path, "port = 1\nworkers = 3\n")
    ours, theirs = {"SCHEDULER_PORT": "2"}, {"LEANCLOUD_APP_PORT": "3"}
    assert read_settings(tmp_path, {}, {}).port == 1
    assert read_settings(tmp_path, ours, {}).port == 2
    assert read_settings(tmp_path, ours | theirs, {}).port == 3
    settings = read_settings(tmp_path, ours | theirs, {"port": 4})
    assert (settings.port, settings.origin("port")) == (4, "the option --port")
    assert (settings.executor_setting("workers"), settings.origin("workers")) == (3, str(tmp_path / "scheduler.toml"))


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
    assert read_settings(tmp_path, {"SCHEDULER_STORE": given}, {}).store_url == opened.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "unknown setting 'prot'; did you mean 'port'?"),
        ("zzzzzz = 1", "unknown setting 'zzzzzz'; the settings are target, store, "),
        ("port = 70000", "port = 70000 is invalid: expected a whole number from 0 to 65,535"),
        ("port = true", "port = True is invalid"),
        ("port = [1]", "port = [1] is invalid"),
        ("store = ' '", "expected text that is not blank"),
        ("console_hosts = ['https://timers.example.com/']", "names of hosts without a scheme, a port and a path"),
        ("console_hosts = ['timers.example.com:8443']", "names of hosts without a scheme, a port and a path"),
        ("console_hosts = ['*.example.com']", "names of hosts without a scheme, a port and a path"),
        ("limit_s = 0", "expected a number of seconds, more than 0 and at most 86400"),
        ("environment = 'prod'", "expected production or stage or development"),
        ("tz = 'Asia/Shangai'", "did you mean 'Asia/Shanghai'?"),
        ("workers = 9\nmax_workers = 8", "workers = 9 is more than max_workers = 8"),
        ("port = ", "invalid TOML: "),
        (f"port = {'[' * 100_000}", "invalid TOML: "),
        (f"# {'x' * 1_000_000}", "has 1,000,002 bytes; a file of settings has at most 1,000,000"),
    ],
)
def test_an_invalid_setting_is_reported_with_its_file_and_the_fix(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the setting and what is allowed."""
    write(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        read_settings(tmp_path, {}, {})
    assert str(tmp_path / "scheduler.toml") in str(refused.value)
    assert message in str(refused.value)


WEBHOOK = 'webhook = "https://h/s3cretpath"\nsecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\n'


def test_alerts_are_tables_of_the_file(tmp_path: Path) -> None:
    """Each is a rule; without a name, its number is its name."""
    write(tmp_path, f'[[alerts]]\n{WEBHOOK}on = "failed"\n[[alerts]]\nname = "mail"\nto = "mailto://u:p@h"\n')
    first, second = read_settings(tmp_path, {}, {}).alerts
    assert (first.name, sorted(first.on), first.webhook) == ("1", ["failed"], "https://h/s3cretpath")
    assert (second.name, second.to, "recovered" in second.on) == ("mail", ("mailto://u:p@h",), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alerts = 1", "alerts: expected tables, each under a heading [[alerts]]"),
        ("[alerts]\nto = 'a://b'", "alerts: expected tables, each under a heading [[alerts]]"),
        ("[[alerts]]", "alert 1: neither to nor webhook is given"),
        (f"[[alerts]]\n{WEBHOOK}to = 'a://b'", "alert 1: both to and webhook are given"),
        (
            f"[[alerts]]\n{WEBHOOK}[[alerts]]\nwebhok = 'x'",
            "alert 2: unknown setting 'webhok'; did you mean 'webhook'?",
        ),
        (f"[[alerts]]\nname = 'ops'\n{WEBHOOK}on = ['fail']", "alert 'ops': on = 'fail': expected some of failed, "),
        (f"[[alerts]]\n{WEBHOOK}on = ['recovered']", "on has recovered, but nothing to recover from"),
        (f"[[alerts]]\n{WEBHOOK}on = []", "on is empty"),
        (f"[[alerts]]\n{WEBHOOK}late_s = 0", "late_s = 0: expected a number of seconds"),
        (f"[[alerts]]\n{WEBHOOK}environment = 'prod'", "environment = 'prod': expected production or stage"),
        (f"[[alerts]]\n{WEBHOOK}timers = [1]", "timers: expected a list of texts"),
        (f"[[alerts]]\n{WEBHOOK}name = ''", "name = '': expected text"),
        (f"[[alerts]]\n{WEBHOOK}name = 'a'\n[[alerts]]\n{WEBHOOK}name = 'a'", "two alerts have the name 'a'"),
        ("[[alerts]]\nwebhook = 'https://h/s3cretpath'", "a webhook needs a secret"),
        (
            "[[alerts]]\nwebhook = 'https://h/s3cretpath'\nsecret = 's3cret'",
            "secret: expected whsec_ and the base64 of",
        ),
        ("[[alerts]]\nwebhook = 'ftp://h/s3cretpath'", "webhook = 'ftp://h/s3cretpath': expected an address"),
        ("[[alerts]]\nwebhook = 'https://u:s3cret@h/'", "webhook has a user or a password in front of its host"),
        ("[[alerts]]\nto = ['s3cret']", "to: entry 1 is no address"),
        ("[[alerts]]\nto = ['a://b']\nsecret = 's3cret'", "secret is for a webhook only"),
        ("\n".join(["[[alerts]]\nto = ['a://b']"] * 51), "there are 51 alerts; at most 50 are allowed"),
    ],
)
def test_a_wrong_alert_is_reported_by_its_number_or_name(tmp_path: Path, text: str, message: str) -> None:
    """And no secret is shown."""
    write(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        read_settings(tmp_path, {}, {})
    assert str(refused.value).startswith(f"{tmp_path / 'scheduler.toml'}: alerts: ")
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value).replace("ftp://h/s3cretpath", "")


def test_settings_are_read_from_a_regular_file_only(tmp_path: Path) -> None:
    """Reading a pipe would block every command."""
    os.mkfifo(tmp_path / "scheduler.toml")
    with pytest.raises(ConfigError, match="not a regular file; put the settings into a file"):
        read_settings(tmp_path, {}, {})


@pytest.mark.parametrize(
    ("environ", "options", "origin"),
    [
        ({"LEANCLOUD_APP_PORT": "http"}, {}, "the environment variable LEANCLOUD_APP_PORT: port"),
        ({}, {"environment": "prod"}, "the option --env: environment"),
        ({}, {"max_timers": -1}, "the option --max-timers: max_timers"),
    ],
)
def test_an_invalid_value_is_reported_with_its_origin(
    tmp_path: Path, environ: dict[str, str], options: dict[str, object], origin: str
) -> None:
    """The message names the one of three origins to change."""
    with pytest.raises(ConfigError, match=f"^{origin}"):
        read_settings(tmp_path, environ, options)


def test_settings_in_another_encoding_are_refused_with_the_line(tmp_path: Path) -> None:
    """As an editor in Chinese may save them."""
    (tmp_path / "scheduler.toml").write_bytes("port = 1\n# 端口\n".encode("gbk"))
    with pytest.raises(ConfigError, match=r"scheduler\.toml: line 2 is not UTF-8; save the file as UTF-8"):
        read_settings(tmp_path, {}, {})


def test_names_of_the_console_are_as_browsers_send_them(tmp_path: Path) -> None:
    """In lower case and in punycode."""
    write(tmp_path, "console_hosts = ['Timers.Example.com', '定时.example']")
    assert read_settings(tmp_path, {}, {}).console_hosts == ("timers.example.com", "xn--mbty4v.example")


def test_a_word_may_be_in_capitals(tmp_path: Path) -> None:
    """As levels of logs often are."""
    write(tmp_path, 'log_level = "INFO"\ndurability = "Process"')
    settings = read_settings(tmp_path, {}, {})
    assert (settings.log_level, settings.durability) == ("info", "process")


def test_the_settings_are_frozen(tmp_path: Path) -> None:
    """No part of the program can change a setting for the others."""
    settings = read_settings(tmp_path, {}, {})
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


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
    assert read_settings(tmp_path, environ, {}).environment == environment


def test_another_value_of_the_old_variable_is_refused(tmp_path: Path) -> None:
    """And the variable is named."""
    with pytest.raises(ConfigError, match="the environment variable LC_APP_PROD: environment = '2' is invalid"):
        read_settings(tmp_path, {"LC_APP_PROD": "2"}, {})


def test_an_environment_may_have_settings_of_its_own(tmp_path: Path) -> None:
    """In a table of its name, or in a variable; what it does not set is that of both environments."""
    write(tmp_path, 'executor = "thread"\nremote_engine = "http://a"\n[stage]\nexecutor = "http"\ntarget = "s.py"\n')
    settings = read_settings(tmp_path, {"SCHEDULER_STAGE_REMOTE_ENGINE": "http://b"}, {})
    assert settings.for_environment("production") == EnvironmentSettings("thread", None, (("max_workers", 32),))
    assert settings.for_environment("stage") == EnvironmentSettings("http", "s.py", (("remote_engine", "http://b"),))
    assert [settings.for_environment(name).runs_what_is_served for name in ("production", "stage")] == [True, False]
    assert settings.origin("stage_target") == str(tmp_path / "scheduler.toml")


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("SCHEDULER_PROT", "did you mean 'SCHEDULER_PORT'?"),
        ("SCHEDULER_STAGE_EXECUTER", "did you mean 'SCHEDULER_STAGE_EXECUTOR'?"),
        ("SCHEDULER_QQQ", "docs/settings.md lists the settings"),
        ("SCHEDULER_", "docs/settings.md lists the settings"),
    ],
)
def test_a_misspelt_variable_is_refused_as_in_the_file(tmp_path: Path, variable: str, hint: str) -> None:
    """Also an empty one: it would be overlooked when it gets a value."""
    for value in ("3", ""):
        with pytest.raises(ConfigError) as refused:
            read_settings(tmp_path, {variable: value}, {})
        assert str(refused.value).startswith(f"the environment variable {variable}: unknown setting; {hint}")


def test_variables_of_ours_and_of_a_service_called_scheduler_are_no_settings(tmp_path: Path) -> None:
    """A container beside a service of that name has these from Kubernetes or Docker, SCHEDULER_PORT among them."""
    address = "tcp://10.0.0.11:80"
    environ = {
        **dict.fromkeys(("SCHEDULER_SERVICE_HOST", "SCHEDULER_SERVICE_PORT_HTTP", "SCHEDULER_NAME"), "x"),
        **dict.fromkeys(("SCHEDULER_PORT", "SCHEDULER_PORT_80_TCP", "SCHEDULER_PORT_80_TCP_ADDR"), address),
        **dict.fromkeys((HANDOVER, MARK, "SCHEDULER_DEMO_FOLDER", "SCHEDULER_FAULTS", "SCHEDULER_CHAOS_SEED"), "x"),
        "MY_SCHEDULER_PROT": "x",
    }
    assert read_settings(tmp_path, environ, {}).port == 3000
    assert read_settings(tmp_path, {**environ, "SCHEDULER_PORT": "8080"}, {}).port == 8080


def test_a_file_that_begins_with_a_bom_is_read(tmp_path: Path) -> None:
    """As the editor of Windows writes it."""
    (tmp_path / "scheduler.toml").write_bytes(b"\xef\xbb\xbfport = 3\n")
    assert read_settings(tmp_path, {}, {}).port == 3


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("PORT = 3", "did you mean 'port'?"),
        ("[scheduler]\nport = 3", "settings belong at the top of the file; [production] and [stage] are tables"),
        ("[tool.scheduler]\nport = 3", "settings belong at the top of the file"),
    ],
)
def test_a_setting_in_capitals_or_in_a_table_gets_a_hint(tmp_path: Path, text: str, hint: str) -> None:
    """Other programs have them so."""
    (tmp_path / "scheduler.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_settings(tmp_path, {}, {})
    assert hint in str(refused.value)
