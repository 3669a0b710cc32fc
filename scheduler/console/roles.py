"""The role that each page of the console needs; api/routes.py has those of the API.

An endpoint without a row is never served: it is answered like an unknown address (gates.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class Role(IntEnum):
    """The role of a reader; each includes the rights of the ones before it."""

    NOBODY = 0
    VIEWER = 1
    OPERATOR = 2


#: The roles that a token may have, by the word for each.
TOKEN_ROLES: Mapping[str, Role] = MappingProxyType({"viewer": Role.VIEWER, "operator": Role.OPERATOR})

NEEDS: Mapping[str, Role] = MappingProxyType(
    {
        "static": Role.NOBODY,
        "sign_in": Role.NOBODY,
        "sign_in_post": Role.NOBODY,
        "preferences_post": Role.VIEWER,
        "sign_out": Role.VIEWER,
        "home": Role.VIEWER,
        "live": Role.VIEWER,
        "timers": Role.VIEWER,
        "timer": Role.VIEWER,
        "preview": Role.VIEWER,
        "runs": Role.VIEWER,
        "run": Role.VIEWER,
        "logs": Role.VIEWER,
        "instances": Role.VIEWER,
        "timeline": Role.VIEWER,
        "functions": Role.VIEWER,
        "function": Role.VIEWER,
        "statistics": Role.VIEWER,
        "calendars": Role.VIEWER,
        "calendar": Role.VIEWER,
        "pauses": Role.VIEWER,
        "alerts": Role.VIEWER,
        "changes": Role.VIEWER,
        "settings": Role.VIEWER,
        "api": Role.VIEWER,
        "new_timer": Role.OPERATOR,
        "new_timer_post": Role.OPERATOR,
        "edit_timer": Role.OPERATOR,
        "edit_timer_post": Role.OPERATOR,
        "copy_timer": Role.OPERATOR,
        # It has the parameters.
        "export": Role.OPERATOR,
        "import_timers": Role.OPERATOR,
        "import_post": Role.OPERATOR,
        "call_function": Role.OPERATOR,
        "run_form": Role.OPERATOR,
        "run_timer": Role.OPERATOR,
        "run_again": Role.OPERATOR,
        "backfill": Role.OPERATOR,
        "backfill_post": Role.OPERATOR,
        "take_back": Role.OPERATOR,
        # It writes to the store, to see whether that works.
        "checkup": Role.OPERATOR,
        "pause": Role.OPERATOR,
        "resume": Role.OPERATOR,
        "enable_timer": Role.OPERATOR,
        "disable_timer": Role.OPERATOR,
        "reset_timer": Role.OPERATOR,
        "remove_timer": Role.OPERATOR,
        "remove_timer_post": Role.OPERATOR,
        "change_timers": Role.OPERATOR,
        "cancel_run": Role.OPERATOR,
        "undo": Role.OPERATOR,
        "undo_post": Role.OPERATOR,
        "end_token": Role.OPERATOR,
    }
)
