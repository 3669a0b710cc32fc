"""The user of a command, as the author of the changes that it makes."""

from __future__ import annotations

from ..store.change_recording import Author, Way


def by_user(why: str = "") -> Author:
    """The user and the host of this command; `why` is the reason that --why gives."""
    return Author.of_process(Way.COMMAND_LINE, why)
