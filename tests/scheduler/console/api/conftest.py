"""A program that uses the management API of a console on an empty store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ..conftest import Place, make_place, place

__all__ = ["make_place", "place"]

CRON = {"function": "send", "cron": "0 30 2 ? * MON-FRI", "tz": "America/New_York"}


class Program:
    """A client with a token."""

    def __init__(self, place: Place, role: str | None = "operator", *, name: str = "") -> None:
        self.client: FlaskClient = place.app.test_client()
        self.headers: dict[str, str] = {}
        if role is not None:
            secret = place.tokens.add(name or role, role, now=place.now)
            self.headers["Authorization"] = f"Bearer {secret}"

    def send(self, method: str, address: str, body: Any = None, **headers: str) -> TestResponse:
        """Send a request; a body of text or bytes as it is, any other as JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given: dict[str, Any] = {}
        if body is not None:
            is_text = isinstance(body, str | bytes)
            given = {"data": body if is_text else json.dumps(body)}
            named = named if is_text else {"Content-Type": "application/json", **named}
        return self.client.open(
            f"/api/1/{address}", method=method, headers={**self.headers, **named}, buffered=True, **given
        )

    def get(self, address: str, **headers: str) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.send("GET", address, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    def does(self, method: str, address: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """The JSON of a request that must have this status."""
        answer = self.send(method, address, body, **headers)
        assert answer.status_code == status, answer.text
        return answer.json

    def refused(self, status: int, method: str, address: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """The problem of a request that must be refused."""
        answer = self.send(method, address, body, **headers)
        assert answer.status_code == status, answer.text
        assert answer.mimetype == "application/problem+json"
        problem = answer.json
        assert problem["status"] == status
        assert problem["request_id"] == answer.headers["X-Request-Id"]
        return dict(problem)


@pytest.fixture
def program(place: Place) -> Program:
    return Program(place)
