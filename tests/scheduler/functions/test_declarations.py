"""Declarations on their way from the process that has loaded the functions to the one that has the store."""

from __future__ import annotations

import json
from typing import Any

from scheduler.core.timer import Environment
from scheduler.default_rules import DefaultZone
from scheduler.engine import Engine
from scheduler.functions.declarations import as_data, from_data, read_declarations


def test_declarations_arrive_as_they_were_made() -> None:
    """Timers with every kind of option, their places and assumed zones, and what is wrong."""
    engine = Engine()

    @engine.timer("0 0 8 ? * MON", params={"n": [1, {"中": None}]}, limit_s=2.5, retries=3, enabled=True)
    @engine.timer(every=90, name="often", jitter_s=7, overlap="allow", misfire="skip", environment="stage")
    @engine.timer("0 0 9 * * ?", tz="+08:00", name="zoned")
    @engine.timer("nonsense", name="wrong")
    @engine.define
    def report(n: Any = None) -> None:
        pass

    declared = read_declarations(
        engine.registry, Environment.PRODUCTION, DefaultZone("Europe/Berlin", "this machine's")
    )
    assert (len(declared.timers), len(declared.faults)) == (3, 1)
    arrived = from_data(json.loads(json.dumps(as_data(declared))))
    assert (list(arrived.timers), list(arrived.faults)) == (list(declared.timers), list(declared.faults))
