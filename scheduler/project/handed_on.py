"""Remembers which environment variables the service has set for its child processes, and from which setting.

A function may start `scheduler doctor`, and its terminal of a container may have the environment of a worker. Such a
command reads its settings from these variables too, but their origin is that of the service's own setting.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from typing import Any

#: The values and origins of the variables that were handed on, as JSON.
VARIABLE = "SCHEDULER_HANDED_ON"
#: Origins of a value that nobody has set, and of one that only the service sets.
DEFAULT, SERVICE = "the default", "the running service"


def hand_on(
    environ: MutableMapping[str, str], given: Mapping[str, str], origin: str = DEFAULT, *, because: str = ""
) -> None:
    """Set these variables; those that have another value until now have the origin from now on.

    `origin` is that of the setting whose value they have; `because` says why its default is that value.
    """
    notes = _notes(environ)
    for name, value in given.items():
        if environ.get(name) != value:
            environ[name] = value
            notes[name] = [value, origin, because]
    if notes:
        environ[VARIABLE] = json.dumps(notes)


def handed_on(given: Mapping[str, str], origin: str) -> dict[str, str]:
    """These variables for a child process, beside those of this one."""
    environ = dict(os.environ)
    hand_on(environ, given, origin)
    return {name: environ[name] for name in (*given, VARIABLE) if name in environ}


def origin_handed_on(environ: Mapping[str, str], name: str) -> str:
    """The origin of a variable that a service has set; empty for one that somebody else has set, or changed since."""
    match _notes(environ).get(name):
        case [value, str(origin), _] if value == environ.get(name):
            is_option = origin.startswith("the option ") and not origin.endswith(_OF_SERVICE)
            return f"{origin}{_OF_SERVICE}" if is_option else origin
    return ""


def reason_handed_on(environ: Mapping[str, str], name: str) -> str:
    """Why the default has the value of a variable that a service has set; empty if that is not known."""
    match _notes(environ).get(name):
        case [value, _, str(because)] if value == environ.get(name):
            return because
    return ""


_OF_SERVICE = f" of {SERVICE}"


def _notes(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        notes = json.loads(environ.get(VARIABLE, "{}"))
    except (ValueError, RecursionError):
        return {}
    return notes if isinstance(notes, dict) else {}
