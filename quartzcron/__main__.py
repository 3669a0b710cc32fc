"""The program `quartzcron`, or `python -m quartzcron`; its commands are in cli/commands.py."""

from __future__ import annotations

import sys

from .cli.commands import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
