"""Addresses relative to the page, so that the console works under any prefix of a proxy without a setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, redirect, request, url_for


def root() -> str:
    """The address of the console's root, relative to the page of this request: `./`, `../`, `../../` …"""
    return "../" * (request.path.count("/") - 1) or "./"


def link(endpoint: str, *, query: Mapping[str, Any] | None = None, **values: Any) -> str:
    """The address of an endpoint, relative to the page of this request; values that are None or empty are left out.

    A query from a browser must come as `query`: url_for has parameters of its own among its values.
    """
    path = url_for(endpoint, **_given(values))
    if further := _given(query or {}):
        path += ("&" if "?" in path else "?") + urlencode(further)
    return root() + path.removeprefix(request.script_root).removeprefix("/")


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def here(**changes: Any) -> str:
    """The address of this page with other values of its query; None removes one."""
    assert request.endpoint is not None
    return link(request.endpoint, query={**request.args.to_dict(), **changes}, **(request.view_args or {}))


def go(endpoint: str, **values: Any) -> Response:
    """A redirect to an endpoint, to be followed with a GET."""
    answer = redirect(link(endpoint, **values), 303)
    assert isinstance(answer, Response)
    return answer
