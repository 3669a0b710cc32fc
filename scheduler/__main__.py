"""python -m scheduler, and the script `scheduler`; says how to get the timer service where it is not installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

#: What the extra `scheduler` brings and every command needs.
_NEEDED = ("click", "rich", "sqlalchemy", "alembic", "waitress", "httpx")


def main() -> None:
    """Run the command line and end the program; exit status 2 where the extra is missing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(_refused(missing))
    from .cli import main as run

    run()


def _refused(missing: list[str]) -> int:
    lacking = ", ".join(missing)
    print(
        f"Error: {lacking} missing; the timer service comes with: pip install 'quartzcron[scheduler]'", file=sys.stderr
    )
    return 2


if __name__ == "__main__":
    main()
