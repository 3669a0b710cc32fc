"""Names of timers in addresses."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.console.names import name_of, segment
from scheduler.core.timer import Timer
from scheduler.core.triggers import Every
from scheduler.store.schema import timers

from .conftest import HOSTILE, Place


@given(st.text(min_size=1, max_size=40))
def test_a_name_is_one_segment_and_back(name: str) -> None:
    """It has no slash, and browsers do not resolve it."""
    made = segment(name)
    assert "/" not in made
    assert made.strip(".")
    assert name_of(made) == name


@pytest.mark.parametrize("text", ["~", "~x", "a~", "..", "a/b", "~d~dx"])
def test_a_segment_that_no_name_makes_is_none(text: str) -> None:
    """So each timer has one address."""
    with pytest.raises(ValueError, match="not the segment"):
        name_of(text)


@pytest.mark.parametrize("name", [HOSTILE, "..", ".", "a/b", "~", "%2F", "a?b#c", "月底/对账", "a;b", "new", "edit"])
def test_the_address_of_a_timer_leads_to_it(place: Place, name: str) -> None:
    """Whatever its name is, also behind a proxy that takes a prefix away; even a name of an earlier version."""

    timer = Timer(name=name, function="f", trigger=Every(7))
    place.timers.add([replace(timer, name="new name")], now=place.now)
    with place.store.writing() as connection:
        connection.execute(timers.update().values(name=name))
    browser = place.browser()
    found = re.search(r'class="name" href="([^"]+)"', browser.get("/timers").text)
    assert found is not None
    address = unescape(found[1]).removeprefix("./")
    assert not address.startswith("/")
    assert browser.get(f"/{address}").status_code == 200
    answer = browser.post(f"/{address}/enable")
    assert answer.status_code == 303
    assert place.timers.get(timer.name).timer.enabled
