"""Names of timers as one segment of an address, and back.

WSGI cannot distinguish `%2F` from `/`, and browsers resolve `..`. So names have their own escapes: `/` is `~s`, `~` is
`~t`, and each dot of a name of dots only is `~d`.
"""

from __future__ import annotations

import re

from werkzeug.routing import BaseConverter, ValidationError

_MEANINGS = {"~s": "/", "~t": "~", "~d": "."}
_ESCAPE = re.compile(r"~.?", re.DOTALL)


def segment(name: str) -> str:
    """A name as a segment.

    >>> segment("reports/daily~1"), segment("..")
    ('reports~sdaily~t1', '~d~d')
    """
    if name and not name.strip("."):
        return "~d" * len(name)
    return name.replace("~", "~t").replace("/", "~s")


def name_of(text: str) -> str:
    """The name of a segment; ValueError for a segment that `segment` does not produce.

    >>> name_of("reports~sdaily~t1"), name_of("~d~d")
    ('reports/daily~1', '..')
    """
    name = _ESCAPE.sub(_meaning, text)
    if segment(name) != text:
        raise ValueError(f"{text!r} is not the segment of a name")
    return name


def _meaning(escape: re.Match[str]) -> str:
    try:
        return _MEANINGS[escape.group()]
    except KeyError:
        raise ValueError(f"{escape.string!r} is not the segment of a name") from None


class NameConverter(BaseConverter):
    """The converter `name` of routes."""

    def to_python(self, value: str) -> str:
        try:
            return name_of(value)
        except ValueError:
            raise ValidationError from None

    def to_url(self, value: str) -> str:
        return super().to_url(segment(value))
