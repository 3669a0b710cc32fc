"""Parameters of a function on the command line: `name=value` is a text, `name:=json` any JSON value."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

EXPLANATION = "Parameters: key=text, or key:=JSON as in n:=3 or days:=[1,2]."


def parse_params(pairs: Iterable[str], text: str | None = None) -> dict[str, Any]:
    """The parameters that pairs and a JSON object name together; a pair wins. click.BadParameter says what is wrong."""
    params = _object(text) if text is not None else {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.rstrip(":"):
            raise click.BadParameter(f"{pair!r} is no parameter; write key=text or key:=JSON")
        if key.endswith(":"):
            params[key[:-1]] = _json(pair, value)
        else:
            params[key] = value
    return params


def _json(pair: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{pair!r}: {value!r} is no JSON ({error}); a text is written key=text") from None


def _object(text: str) -> dict[str, Any]:
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"--params {text!r} is no JSON ({error})") from None
    if not isinstance(params, dict):
        raise click.BadParameter(f"--params is a JSON object as in '{{\"n\": 3}}', not {text!r}")
    return params
