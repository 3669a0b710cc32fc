"""Schedules from texts, such as `0 0 8 ? * SAT#1 || 0 0 8 ? * SAT#3`."""

from __future__ import annotations

import re
from datetime import tzinfo

from ..errors import CronError, echoed
from ..search import compiled
from ..search.compiled import CompiledExpression
from ..search.expression_value import VIXIE
from .joint import Overlap, Union
from .schedule import DEEPEST, Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(r"\s*(\|\||&&|\(|\))\s*")
_KINDS: dict[str, type[Schedule]] = {"||": Union, "&&": Overlap}


def is_joint(text: str) -> bool:
    """Whether a text is that of a schedule of several expressions."""
    return "||" in text or "&&" in text or text.lstrip().startswith("(")


def from_text(text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> CompiledExpression | Schedule:
    """The schedule of a text, or the expression if it is a single one; zone and policy are those of all its parts.

    Parts of parts stand in brackets. Raises CronError.

    >>> from_text("0 0 8 ? * FRI && (0 0 8 13 * ? || 0 0 8 L * ?)").canonical
    '(0 0 8 13 * ? || 0 0 8 L * ?) && 0 0 8 ? * FRI'
    """
    if not isinstance(text, str):
        raise TypeError(f"a schedule must be a str, got {type(text).__name__}")
    tokens = [token for token in _TOKEN.split(text) if token.strip()]
    made = _joined(tokens, lambda part: compiled.users_class(part, tz=tz, dst=dst), 0)
    if tokens:
        raise CronError(f"{echoed(tokens[0])} is not expected there in a schedule")
    return made


def _joined(tokens: list[str], read: Callable[[str], CompiledExpression], depth: int) -> CompiledExpression | Schedule:
    """Parts with the same joint between them, taken from the beginning of the tokens."""
    parts, joint = [_part(tokens, read, depth)], None
    while tokens and tokens[0] in _KINDS:
        token = tokens.pop(0)
        if joint not in (None, token):
            raise CronError("a schedule with both || and && needs brackets")
        joint = token
        parts.append(_part(tokens, read, depth))
    return parts[0] if joint is None else _KINDS[joint](*parts)


def _part(tokens: list[str], read: Callable[[str], CompiledExpression], depth: int) -> CompiledExpression | Schedule:
    token = tokens.pop(0) if tokens else ""
    if token != "(":
        return read("" if token in (*_KINDS, ")") else token)
    if depth > DEEPEST:
        raise CronError(f"a schedule is nested up to {DEEPEST} deep")
    made = _joined(tokens, read, depth + 1)
    if not tokens or tokens.pop(0) != ")":
        raise CronError("a bracket of a schedule is not closed")
    return made
