"""Production and stage."""

from __future__ import annotations

import pytest

from scheduler.engine import Engine
from scheduler.engine.environment import set_under_both_prefixes, variables_of
from scheduler.errors import ConfigError
from tests.scheduler.engine.wsgi_client import WITH_HOOK_KEY, Client

HEADERS = ["X-LC-Prod", "X-AVOSCloud-Application-Production", "X-Uluru-Application-Production"]


@pytest.mark.parametrize(
    ("serves", "value", "answered"),
    [
        ("production", None, True),
        ("production", "1", True),
        ("production", "true", True),
        ("production", "0", False),
        ("production", "false", False),
        ("stage", None, False),
        ("stage", "1", False),
        ("stage", "0", True),
        ("stage", "False", True),
        ("development", "0", True),
        ("development", "1", True),
        (None, "0", True),
        (None, None, True),
    ],
)
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("path", ["functions/f", "call/f", "functions/T/afterSave", "functions/_clientOnline"])
def test_an_engine_answers_for_its_environment(
    header: str, path: str, serves: str | None, value: str | None, answered: bool
) -> None:
    """The other one is not deployed here, and the error names it."""
    engine = Engine(environment=serves)
    engine.define("f")(lambda **_: 1)
    engine.define("_clientOnline")(lambda **_: 1)
    engine.after_save("T")(lambda _: None)
    headers = WITH_HOOK_KEY | ({header: value} if value else {})
    response = Client(engine, headers).post(f"/1.1/{path}", {"object": {}})
    if answered:
        assert response.status == 200
    else:
        prod = 0 if serves == "production" else 1
        assert response.failure == (400, 1, f"The cloud code isn't deployed for prod {prod}.")


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("LEANCLOUD_APP_ENV", "stage", 400),
        ("LEANCLOUD_APP_ENV", "production", 200),
        ("LEANCLOUD_APP_ENV", "development", 200),
        ("LC_APP_ENV", "stage", 400),
        ("LC_APP_PROD", "0", 400),
        ("LC_APP_PROD", "1", 200),
    ],
)
def test_the_environment_of_the_process_counts(
    client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, status: int
) -> None:
    """An engine without a setting of its own reads the variables at the time of the call."""
    engine.define("f")(lambda: 1)
    monkeypatch.setenv(variable, value)
    assert client.call("f").status == status


def test_an_unknown_environment_is_refused() -> None:
    """An engine with a misspelt one would serve both."""
    with pytest.raises(ConfigError, match="unknown environment 'prod'; use one of development, stage, production, or"):
        Engine(environment="prod")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"LEANCLOUD_APP_ID": "a"}, {"LEANCLOUD_APP_ID": "a", "LC_APP_ID": "a"}),
        ({"LC_APP_KEY": "k", "LEANCLOUD_APP_KEY": ""}, {"LEANCLOUD_APP_KEY": "k", "LC_APP_KEY": "k"}),
        ({"LC_APP_PORT": "1", "LEANCLOUD_APP_PORT": "2"}, {"LEANCLOUD_APP_PORT": "2", "LC_APP_PORT": "2"}),
        (
            {"LEANCLOUD_APP_ENV": "production", "LC_APP_PROD": "0"},
            {"LEANCLOUD_APP_ENV": "production", "LC_APP_ENV": "production", "LC_APP_PROD": "1"},
        ),
        (variables_of("stage"), {"LEANCLOUD_APP_ENV": "stage", "LC_APP_ENV": "stage", "LC_APP_PROD": "0"}),
        (variables_of("development"), {"LEANCLOUD_APP_ENV": "development", "LC_APP_ENV": "development"}),
    ],
)
def test_code_of_2016_finds_its_names(given: dict[str, str], expected: dict[str, str]) -> None:
    """Where both names are set, the newer one counts for both."""
    environ = dict(given)
    set_under_both_prefixes(environ)
    assert environ == expected
