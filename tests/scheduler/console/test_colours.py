"""The colours of the stylesheet: every text and every sign can be read on its ground, in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("flask")

from scheduler.console import app
from scheduler.core.run import Outcome

STYLES = (Path(app.__file__).parent / "static" / "console.css").read_text(encoding="utf-8")
TOKENS = {name: colours for name, *colours in re.findall(r"--([\w-]+):\s*light-dark\((#\w+),\s*(#\w+)\)", STYLES)}
OUTCOMES = [str(outcome) for outcome in Outcome if str(outcome) in TOKENS]
#: A colour, the ground on which it is, and the least contrast by WCAG 2.2: 4.5 for text, 3 for signs and edges.
PAIRS = [
    *((text, ground, 4.5) for text in ("ink", "muted", "accent") for ground in ("paper", "surface", "wash")),
    *((outcome, ground, 4.5) for outcome in OUTCOMES for ground in ("paper", "surface")),
    ("ink", "bad-wash", 4.5),
    ("failed", "bad-wash", 4.5),
    ("on-accent", "accent", 4.5),
    ("paper", "failed", 4.5),
    ("edge", "paper", 3.0),
    ("edge", "surface", 3.0),
]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_has_the_highest_contrast() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)


def test_every_outcome_has_a_colour() -> None:
    """But a cancelled run, which is muted."""
    assert set(OUTCOMES) == {str(outcome) for outcome in Outcome} - {"cancelled"}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground", "least"), PAIRS)
def test_a_colour_can_be_read_on_its_ground(text: str, ground: str, least: float, theme: int) -> None:
    """In both themes."""
    assert contrast(TOKENS[text][theme], TOKENS[ground][theme]) >= least
