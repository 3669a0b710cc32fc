"""Bodies: of limited size, and JSON objects only."""

from __future__ import annotations

import io
from typing import Any

import pytest

from scheduler.engine import Engine
from scheduler.engine.body import fields
from scheduler.engine.failures import RefusedError
from tests.scheduler.engine.wsgi_client import Client

MALFORMED = (400, 107, "Malformed json object. A json dictionary is expected.")


@pytest.fixture
def echo(engine: Engine) -> Client:
    """A client of an engine whose function `echo` returns its arguments."""
    engine.define("echo")(lambda **params: params)
    return Client(engine)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"[1]",
        b"1",
        b'"x"',
        b"null",
        b"true",
        b"{'a': 1}",
        b'{"a": 1} x',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1,}',
        b"a=1&b=2",
        b"\xff",
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\n"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1e999}',
        b'{"a": [-1e999]}',
        b'{"a": ' * 100_000,
        b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b"\x00",
    ],
)
@pytest.mark.parametrize("endpoint", ["functions", "call"])
def test_a_body_that_is_no_json_object_is_refused(echo: Client, body: bytes, endpoint: str) -> None:
    """Invalid, too deep, or of another type: all are code 107."""
    assert echo.post(f"/1.1/{endpoint}/echo", body=body).failure == MALFORMED


@pytest.mark.parametrize(
    ("body", "params"),
    [
        (b"", {}),
        (b" \n", {}),
        (b"{}", {}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        ('{"名": "值"}'.encode(), {"名": "值"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_a_body_becomes_arguments(echo: Client, body: bytes, params: dict[str, Any]) -> None:
    """An empty body is no arguments; of a key that occurs twice the last value counts."""
    assert echo.call("echo", body=body).json == {"result": params}


def test_a_body_beyond_the_limit_is_not_read() -> None:
    """413 by the declared length alone, or as soon as a body of unknown length grows too large."""
    engine = Engine(max_body_bytes=10)
    engine.define("echo")(lambda **params: params)
    client = Client(engine)
    too_large = (413, 413, "The body is larger than the limit.")
    assert client.call("echo", body=b'{"a":1234}').status == 200
    assert client.call("echo", body=b'{"a":12345}').failure == too_large
    assert client.call("echo", body=b"", CONTENT_LENGTH="9" * 30).failure == too_large


def test_the_limit_is_20_mb() -> None:
    """Unless it is set otherwise."""
    with pytest.raises(RefusedError, match="larger than the limit"):
        fields({"CONTENT_LENGTH": str(20 * 1024 * 1024 + 1), "wsgi.input": io.BytesIO()})


class InvalidChunkSize(Exception):
    """Like gunicorn's exception, which is no OSError."""


class BrokenInput(io.BytesIO):
    def __init__(self, error: type[Exception] = ConnectionResetError) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    "environ",
    [
        {"CONTENT_LENGTH": "3"},
        {"CONTENT_LENGTH": "abc"},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "+2"},
        {"CONTENT_LENGTH": "٢"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"CONTENT_LENGTH": "2", "wsgi.input": BrokenInput()},
        {"wsgi.input_terminated": True, "wsgi.input": BrokenInput()},
        {"wsgi.input_terminated": True, "wsgi.input": BrokenInput(InvalidChunkSize)},
    ],
)
def test_a_body_that_is_cut_short_or_of_unknown_length_is_malformed(environ: dict[str, Any]) -> None:
    """A part of a body is never taken for the whole."""
    with pytest.raises(RefusedError, match="Malformed"):
        fields({"wsgi.input": io.BytesIO(b"{}")} | environ)


class SlowInput(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 1, 1))


@pytest.mark.parametrize(
    "environ",
    [{"CONTENT_LENGTH": "8"}, {"wsgi.input_terminated": True}, {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}],
)
def test_a_body_may_come_in_pieces(environ: dict[str, Any]) -> None:
    """A short read is not the end, and a server that marks the end need not know the length."""
    assert fields({"wsgi.input": SlowInput(b'{"a": 1}')} | environ) == {"a": 1}


def test_a_chunked_body_beyond_the_limit() -> None:
    """A body of unknown length is cut off at the limit."""
    with pytest.raises(RefusedError, match="larger than the limit"):
        fields({"wsgi.input": io.BytesIO(b" " * 100_000), "wsgi.input_terminated": True}, limit=1000)
