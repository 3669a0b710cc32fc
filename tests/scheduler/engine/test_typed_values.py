"""Values with a `__type`, and the RPC endpoint that decodes and encodes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.engine import CloudObject, Engine
from scheduler.engine.typed_values import decode, encode
from tests.scheduler.engine.wsgi_client import Client

DATE = {"__type": "Date", "iso": "2026-01-05T00:00:00.123Z"}
INSTANT = datetime(2026, 1, 5, 0, 0, 0, 123_000, tzinfo=UTC)
POINTER = {"__type": "Pointer", "className": "Todo", "objectId": "t"}
OBJECT = {"__type": "Object", "className": "Todo", "objectId": "t", "at": DATE, "tags": ["x"]}
BYTES = {"__type": "Bytes", "base64": "aGk="}
GEO_POINT = {"__type": "GeoPoint", "latitude": 1.5, "longitude": 2}


def test_rpc_decodes_arguments_and_encodes_the_result(engine: Engine, client: Client) -> None:
    """A function gets datetimes and objects, the client gets typed values back."""
    seen: list[Any] = []

    @engine.define
    def f(when: Any, todo: Any, rest: Any) -> Any:
        seen.extend([when, todo, rest])
        return {"when": when, "todo": todo, "rest": rest}

    fields = {"when": DATE, "todo": OBJECT, "rest": [POINTER, BYTES, GEO_POINT, {"__type": 1}, {"__type": "New"}]}
    response = client.post("/1.1/call/f", fields)
    assert response.json == {"result": fields}
    assert seen[0] == INSTANT
    assert (seen[1].class_name, seen[1].get("at"), seen[1].get("tags")) == ("Todo", INSTANT, ["x"])
    assert (seen[2][0].id, seen[2][1], seen[2][2]) == ("t", b"hi", GEO_POINT)


def test_the_functions_endpoint_leaves_typed_values_alone(engine: Engine, client: Client) -> None:
    """Only the RPC endpoint decodes them."""
    engine.define("f")(lambda when: when)
    assert client.call("f", {"when": DATE}).json == {"result": DATE}


@pytest.mark.parametrize(
    "value",
    [
        {"__type": "Date"},
        {"__type": "Date", "iso": 5},
        {"__type": "Date", "iso": "yesterday"},
        {"__type": "Bytes", "base64": "a"},
        {"__type": "Bytes"},
        [{"a": {"__type": "Date", "iso": None}}],
    ],
)
def test_invalid_typed_values_are_malformed(engine: Engine, client: Client, value: Any) -> None:
    """A 400, as for JSON that is invalid."""
    engine.define("f")(lambda x: x)
    assert client.post("/1.1/call/f", {"x": value}).failure[:2] == (400, 107)


@pytest.mark.parametrize(
    ("instant", "iso"),
    [
        (INSTANT.astimezone(timezone(timedelta(hours=8))), "2026-01-05T00:00:00.123Z"),
        (datetime(2026, 1, 5, 8, tzinfo=timezone(timedelta(hours=8))), "2026-01-05T00:00:00.000Z"),
        (datetime(2026, 1, 5, 0, 0, 0, 999_999, tzinfo=UTC), "2026-01-05T00:00:00.999Z"),
    ],
)
def test_instants_are_encoded_in_utc_with_milliseconds(instant: datetime, iso: str) -> None:
    """Whatever their zone is."""
    assert encode(instant) == {"__type": "Date", "iso": iso}


def test_tuples_and_sets_are_encoded_as_lists(engine: Engine, client: Client) -> None:
    """An instant before the year 1 in UTC cannot be encoded."""
    engine.define("f")(lambda: ({1}, (2,)))
    engine.define("g")(lambda: datetime.min.replace(tzinfo=timezone(timedelta(hours=8))))
    assert client.post("/1.1/call/f").json == {"result": [[1], [2]]}
    assert client.post("/1.1/call/g").failure[:2] == (500, 1)


fields = st.text(max_size=5).filter(lambda key: key not in ("__type", "className"))
instants = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000))
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5) | instants
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(fields, inner, max_size=3)
        | st.builds(CloudObject, st.text(max_size=5), st.dictionaries(fields, inner, max_size=3))
    ),
    max_leaves=8,
)


@given(values)
def test_decoding_reverses_encoding(value: Any) -> None:
    """For every value."""
    assert decode(encode(value)) == value
