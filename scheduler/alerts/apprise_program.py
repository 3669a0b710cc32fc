"""The program that sends messages with the package apprise, started for each message and killed at its deadline.

It reads {"address", "title", "body"} objects from stdin, a list in JSON, and prints one object for each, in their
order: {"sent": true}, or {"error": text}.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

#: Ends the process if the one that started it cannot.
ALARM_S = 90


def main() -> None:
    signal.alarm(ALARM_S)
    # What a plugin prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for wanted in json.load(sys.stdin):
        print(json.dumps(_send(wanted)), file=answers, flush=True)


def _send(wanted: Mapping[str, str]) -> dict[str, object]:
    # It is an extra, and has no types of its own for all that is used here.
    apprise: Any = importlib.import_module("apprise")
    target = apprise.Apprise.instantiate(wanted["address"], suppress_exceptions=True)
    if target is None:
        return {"error": "apprise does not understand the address"}
    if "title" not in wanted:
        return {"sent": True}
    sender = apprise.Apprise()
    sender.add(target)
    with apprise.LogCapture(level=logging.WARNING) as log:
        try:
            if sender.notify(body=wanted["body"], title=wanted["title"]):
                return {"sent": True}
        except Exception as error:
            return {"error": type(error).__name__}
        lines = [line for line in log.getvalue().splitlines() if line.strip()]
    return {"error": lines[-1][:200] if lines else "it was not accepted"}


if __name__ == "__main__":
    main()
