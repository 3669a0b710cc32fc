"""CronExpression in an application of FastAPI, with FastAPI itself: body, query and path."""

from __future__ import annotations

import json
import warnings
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quartzcron import CronError, CronExpression
from quartzcron.schedules import Schedule, union
from tests.example_counts import examples

pytest.importorskip("httpx")
fastapi = pytest.importorskip("fastapi")
pydantic = pytest.importorskip("pydantic")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a newer Starlette prefers another client than httpx
    from fastapi.testclient import TestClient

MONDAYS = "0 0 8 ? * MON"


class Timer(pydantic.BaseModel):  # type: ignore[misc, unused-ignore]
    """A body."""

    schedule: CronExpression


class Timers(pydantic.BaseModel):  # type: ignore[misc, unused-ignore]
    """A body with expressions further down, and with a schedule of several."""

    schedules: list[CronExpression | None]
    by_name: dict[str, CronExpression] = pydantic.Field(default_factory=dict)
    joint: Schedule | None = None


def _application() -> Any:
    made = fastapi.FastAPI()

    @made.post("/body")
    def body(timer: Timer) -> Timer:
        return timer

    @made.post("/bodies")
    def bodies(timers: Timers) -> Timers:
        return timers

    @made.get("/query")
    def query(schedule: CronExpression) -> str:
        return schedule.canonical

    @made.get("/queries")
    def queries(schedule: Annotated[list[CronExpression], fastapi.Query()]) -> list[str]:
        return [one.canonical for one in schedule]

    @made.get("/path/{schedule}")
    def path(schedule: CronExpression) -> str:
        return schedule.canonical

    return made


@pytest.fixture(scope="module")
def client() -> Any:
    """A client that shows an exception of the application as the status 500, as a server does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield TestClient(_application(), raise_server_exceptions=False)


def test_a_right_expression_is_taken_everywhere(client: Any) -> None:
    """And comes back as it went in."""
    assert client.post("/body", json={"schedule": MONDAYS}).json() == {"schedule": MONDAYS}
    assert client.get("/query", params={"schedule": MONDAYS}).json() == MONDAYS
    assert client.get("/queries", params={"schedule": [MONDAYS, "0 0 9 * * ?"]}).json() == [MONDAYS, "0 0 9 * * ?"]
    assert client.get("/path/0 0 8 ! * MON".replace("!", "%3F")).json() == MONDAYS
    joint = union(CronExpression(MONDAYS), CronExpression("0 0 9 L * ?")).to_json()
    answer = client.post("/bodies", json={"schedules": [MONDAYS, None], "joint": joint})
    assert answer.json() == {"schedules": [MONDAYS, None], "by_name": {}, "joint": joint}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0 8 * * 1", "did you mean '0 0 8 ? * MON'?"),
        ("0 75 8 ? * MON", "75 is out of range"),
        ("", "the expression is empty"),
        (5, "a text, or an object"),
        (None, "a text, or an object"),
        ({"expression": "0 75 8 ? * MON", "tz": "UTC"}, "75 is out of range"),
        ({"expression": MONDAYS, "tz": "Mars"}, "unknown time zone"),
        ({"expression": MONDAYS, "tz": 8}, "zone name"),
        ({"expression": MONDAYS, "dst": "java"}, "daylight-saving policy"),
    ],
)
def test_a_wrong_one_in_a_body_is_answered_with_422_and_the_message(client: Any, value: object, message: str) -> None:
    """At any depth."""
    for path, body in (
        ("/body", {"schedule": value}),
        ("/bodies", {"schedules": [MONDAYS, value] if value is not None else [5]}),
        ("/bodies", {"schedules": [], "by_name": {"a": value}}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 422
        assert any(
            message in problem["msg"] or "a text, or an object" in message for problem in answer.json()["detail"]
        )


@pytest.mark.parametrize("text", ["0 8 * * 1", "0 75 8 ? * MON", "x", "@daily"])
def test_a_wrong_one_in_a_query_or_a_path_is_answered_with_422_and_the_message(client: Any, text: str) -> None:
    """The context has its field, column and fix."""
    with pytest.raises(ValueError, match=" ") as refused:
        CronExpression(text)
    for path, parameters in (("/query", {"schedule": text}), ("/queries", {"schedule": [MONDAYS, text]})):
        answer = client.get(path, params=parameters)
        assert (answer.status_code, answer.json()["detail"][0]["msg"]) == (422, f"Value error, {refused.value}")
        assert answer.json()["detail"][0]["ctx"]["fix"] == getattr(refused.value, "fix", "")
    assert client.get(f"/path/{text}").status_code == 422


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example("{error} {fix} {field}")
@settings(max_examples=examples(100), deadline=None)
def test_every_error_of_a_model_can_be_written_as_json(text: str) -> None:
    """Also without FastAPI's encoder, and with the message of the expression itself."""
    try:
        Timer(schedule=text)
    except pydantic.ValidationError as error:
        (problem,) = json.loads(json.dumps(error.errors()))
        assert problem["type"] == "value_error"
        with pytest.raises(CronError) as refused:
            CronExpression(text)
        assert problem["msg"] == f"Value error, {refused.value}"
    else:
        assert CronExpression.is_valid(text)


def test_the_api_is_described(client: Any) -> None:
    """An expression is a text, or an object."""
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert [form["type"] for form in schemas["Timer"]["properties"]["schedule"]["anyOf"]] == ["string", "object"]


@pytest.mark.parametrize(
    "joint", [{"union": []}, {"union": [MONDAYS, "x"]}, {"union": 5}, MONDAYS, {}, {"overlap": {}}]
)
def test_a_wrong_schedule_of_several_is_answered_with_422(client: Any, joint: object) -> None:
    """Like a wrong expression."""
    assert client.post("/bodies", json={"schedules": [], "joint": joint}).status_code == 422
