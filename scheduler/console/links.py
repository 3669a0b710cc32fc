"""Addresses relative to the page, so that the console works under any prefix of a proxy without a setting."""

from __future__ import annotations

from typing import Any

from flask import Response, redirect, request, url_for


def root() -> str:
    """The address of the console's root, relative to the page of this request: `./`, `../`, `../../` …"""
    return "../" * (request.path.count("/") - 1) or "./"


def link(endpoint: str, **values: Any) -> str:
    """The address of an endpoint, relative to the page of this request; values that are None or empty are left out."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    path = url_for(endpoint, **given)
    return root() + path.removeprefix(request.script_root).removeprefix("/")


def here(**changes: Any) -> str:
    """The address of this page with other values of its query; None removes one."""
    values = {**request.args.to_dict(), **changes}
    assert request.endpoint is not None
    return link(request.endpoint, **(request.view_args or {}), **values)


def go(endpoint: str, **values: Any) -> Response:
    """A redirect to an endpoint, to be followed with a GET."""
    answer = redirect(link(endpoint, **values), 303)
    assert isinstance(answer, Response)
    return answer
