"""The catalogue of functions, on both databases."""

from __future__ import annotations

from scheduler import Scheduler
from scheduler.core.timer import Environment
from scheduler.functions.descriptions import FunctionDescription
from scheduler.functions.registry import Registry
from scheduler.store.catalogue import read_functions, replace_functions
from scheduler.store.database import Store

SEND, CLEAN = FunctionDescription("send", "(to)", "Send it.", "cloud.py:3"), FunctionDescription("clean")


def test_functions_of_an_environment_are_replaced(store: Store) -> None:
    """As a whole, and only if they differ; those of the other environment stay."""
    assert replace_functions(store, Environment.PRODUCTION, [SEND, CLEAN])
    assert replace_functions(store, Environment.STAGE, [SEND])
    assert not replace_functions(store, Environment.PRODUCTION, [CLEAN, SEND])
    assert replace_functions(store, Environment.PRODUCTION, [SEND._replace(doc="Other\0 words \ud800")])
    assert [(found.environment, found.name, found.doc) for found in read_functions(store)] == [
        ("production", "send", "Other\N{REPLACEMENT CHARACTER} words ?"),
        ("stage", "send", "Send it."),
    ]
    assert replace_functions(store, Environment.PRODUCTION, [])
    assert {found.environment for found in read_functions(store)} == {"stage"}


def test_a_program_describes_its_functions(store: Store) -> None:
    """When its scheduler starts, in the environments that it serves."""
    functions = Registry()

    @functions.define
    def hello(name: str = "world") -> None:
        """Greet somebody."""

    with Scheduler(store, functions):
        found = read_functions(store)
    assert {entry.environment for entry in found} == {"production", "stage"}
    assert {entry[1:4] for entry in found} == {("hello", "(name: str = 'world')", "Greet somebody.")}
