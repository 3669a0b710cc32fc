"""A coverage-guided fuzz of the parser and of parsed expressions. Needs atheris; pytest does not collect it.

    python tests/quartzcron/fuzz_parser.py [CORPUS] -max_total_time=300 -max_len=200

Every text is a CronExpression or a CronError, never another exception. A parsed expression has a normal form, which is
its own normal form, and next_fire, prev_fire and nth agree. The arguments are libFuzzer's.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["quartzcron"]):
    from quartzcron import CronError, CronExpression
    from quartzcron.grammar import diagnosis  # noqa: F401 - so that it is instrumented

STARTS = [datetime(1969, 12, 31), datetime(2026, 2, 27, 23, 59, 59, 999_999), datetime(2096, 3, 1)]
REALWORLD = Path(__file__).parent / "golden" / "realworld.txt"


def check(data: bytes) -> None:
    """One input: its first byte chooses the start, the rest is the text."""
    text = data[1:].decode("utf-8", "replace")
    try:
        expression = CronExpression(text)
    except CronError as error:
        check_error(error)
        return
    again = CronExpression(expression.canonical)
    assert again == expression
    assert again.canonical == expression.canonical
    start = STARTS[data[0] % len(STARTS)]
    fire = expression.next_fire(start)
    assert expression.nth(1, start) == fire
    if fire is None:
        return
    assert fire > start
    assert expression.matches(fire)
    assert expression.count(start, fire) == 1
    assert expression.next_fire(fire - timedelta(seconds=1)) == fire
    later = expression.next_fire(fire)
    assert later is None or (expression.prev_fire(later) == fire and expression.nth(2, start) == later)


def check_error(error: CronError) -> None:
    """An error has a message, and its fix is a valid expression."""
    fix = getattr(error, "fix", None)
    assert str(error)
    assert fix is None or CronExpression.is_valid(fix)


def seeds() -> list[bytes]:
    """Expressions from public code, as an initial corpus."""
    lines = REALWORLD.read_text().splitlines()
    return [b"\0" + line.split("\t")[3].encode() for line in lines if not line.startswith("#")]


def main() -> None:
    """Fill the corpus if it is empty, and run libFuzzer."""
    arguments = sys.argv
    folder = next((Path(word) for word in arguments[1:] if not word.startswith("-")), None)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        if not any(folder.iterdir()):
            for number, seed in enumerate(seeds()):
                (folder / f"seed{number}").write_bytes(seed)
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
