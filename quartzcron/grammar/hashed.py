"""H, a value that a key picks: a thousand timers with `0 H H(0-7) * * ?` are spread out, and each keeps its time.

The forms are Jenkins': `H`, `H(0-7)`, `H/15`, `H(0-29)/10`, alone or in a list; `H(22-4)` goes past midnight. `H` in
the day of month goes from 1 to 28, so that every month fires. The pick is a keyed 128-bit hash of key and field, modulo
the number of values: the same on every machine and in every version, and no value is likelier than another by more than
2^-120.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from ..errors import CronSyntaxError, Problem, check_type
from ..fields import FIELDS, MONTH_DAYS, YEARS, Field

_TOKEN = re.compile(r"H(?:\((\w+)-(\w+)\))?(?:/(\d+))?\Z", re.IGNORECASE | re.ASCII)
_EVERY_MONTH = 28
_DIGITS = 6
_JENKINS = 5
_FIVE = "5 fields, a Quartz expression has 6 or 7"


def hashed_text(text: str, key: str) -> str:
    """The text with every H replaced by the value that the key picks; raises CronSyntaxError for an invalid H.

    >>> hashed_text("0 H H ? * SUN", "backup"), hashed_text("0 H/15 * * * ?", "backup")
    ('0 55 17 ? * SUN', '0 10/15 * * * ?')
    """
    check_type(text, str, "a schedule must be a str")
    check_type(key, str, "a key must be a str")
    if len(text.split()) == _JENKINS:
        # Its first H is one of minutes; as one of seconds, it would be picked from other values.
        hint = "seconds field missing, as in Jenkins; write it as in 0 H H * * ?"
        problem = Problem(field="seconds", text="", column=1, message=_FIVE, hint=hint)
        raise CronSyntaxError(text, (problem,))
    place = 0
    parts = []
    for index, word in enumerate(text.split()):
        place = text.index(word, place)
        items, start = [], place
        for item in word.split(","):
            hashes = index < len(FIELDS) and item[:1] in ("H", "h") and item.upper() not in FIELDS[index].names
            items.append(_picked(text, start, item, index, key) if hashes else item)
            start += len(item) + 1
        parts.append(",".join(items))
        place += len(word)
    return " ".join(parts)


def _picked(text: str, start: int, item: str, index: int, key: str) -> str:
    field = FIELDS[index]
    token = _TOKEN.match(item)
    if field is YEARS or token is None:
        hint = "the forms are H, H(0-7), H/15 and H(0-29)/10" if field is not YEARS else "write the years out"
        raise _error(text, start, item, field, f"{item[:24]} is not valid here", hint)
    first, last, step = token.groups()
    high = _EVERY_MONTH if field is MONTH_DAYS else field.high
    low = _bound(text, start, item, field, first) if first else field.low
    high = _bound(text, start, item, field, last) if last else high
    if high < low:
        if not field.wraps or field is MONTH_DAYS:  # the number of days from the 25th to the 5th varies
            raise _error(text, start, item, field, f"{first}-{last} runs backwards", "a range here does not wrap")
        high += field.size
    if step is None:
        return str(_wrapped(low + _pick(key, index, high - low + 1), field))
    if len(step) > _DIGITS or not 1 <= int(step) <= high - low + 1:
        hint = f"steps here go from 1 to {high - low + 1}"
        raise _error(text, start, item, field, f"step {step[:24]} is out of range", hint)
    begin = low + _pick(key, index, int(step))
    return f"{_wrapped(begin, field)}-{_wrapped(high, field)}/{step}" if last else f"{begin}/{step}"


def _wrapped(value: int, field: Field) -> int:
    return value - field.size if value > field.high else value


def _bound(text: str, start: int, item: str, field: Field, word: str) -> int:
    if word.upper() in field.names:
        return field.names[word.upper()]
    if word.isdigit() and len(word) <= _DIGITS and field.low <= int(word) <= field.high:
        return int(word)
    raise _error(text, start, item, field, f"{word[:24]} is out of range", field.allowed)


def _pick(key: str, index: int, count: int) -> int:
    """A number from 0 to count - 1, independent for each field."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"quartzcron-H%d" % index).digest()
    return int.from_bytes(digest, "big") % count


def _error(text: str, start: int, item: str, field: Field, message: str, hint: str) -> CronSyntaxError:
    problem = Problem(field=field.name, text=item, column=start + 1, message=message, hint=hint)
    return CronSyntaxError(text, (problem,))
