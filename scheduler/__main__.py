"""python -m scheduler, and the script `scheduler`; without the timer service it prints how to install that."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from .install import install_command

#: Packages of the extra `scheduler` without which no command runs.
_REQUIRED = ("click", "rich", "sqlalchemy", "alembic", "waitress", "httpx")


def main() -> None:
    """Run the command line and end the program; exit status 2 if the extra is not installed."""
    try:
        folder = os.getcwd()  # noqa: PTH109
    except OSError as error:
        print(f"Error: the working folder is gone, or closed to you ({error.strerror}); go to another", file=sys.stderr)
        sys.exit(2)
    if sys.path and not sys.flags.safe_path and sys.path[0] == folder:
        # `python -m` puts the working folder first, and its files must not shadow the modules that we import.
        del sys.path[0]
    missing = [name for name in _REQUIRED if find_spec(name) is None]
    if missing:
        packages = ", ".join(missing)
        install = install_command("scheduler")
        print(f"Error: {packages} missing; install the timer service with: {install}", file=sys.stderr)
        sys.exit(2)
    from .cli import main as run

    run()


if __name__ == "__main__":
    main()
