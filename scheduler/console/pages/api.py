"""The page of the management API: its operations, from its OpenAPI document, and the kinds of its problems."""

from __future__ import annotations

from ..current import api_document
from ..rendering import render


def show() -> str:
    """The page, to which the `type` of a problem leads."""
    # The API is made when it is first needed.
    from ..api.document import operations
    from ..api.problems import KINDS

    found = operations(api_document())
    return render("api.html", operations=found, api_tags=dict.fromkeys(one.tag for one in found), kinds=KINDS)
