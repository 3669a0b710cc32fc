"""Subcommands: a group of commands whose error for an unknown one proposes one, also by other programs' words."""

from __future__ import annotations

import click

from ..project.suggestions import did_you_mean

#: Other programs' words for commands.
_OTHER_WORDS = {"remove": "rm", "delete": "rm", "del": "rm", "ls": "list", "create": "add", "pause": "disable"}
_OTHER_WORDS |= {"resume": "enable", "trigger": "run", "update": "edit", "mv": "rename", "cp": "copy", "sync": "apply"}
_OTHER_WORDS |= {"new": "add", "change": "edit", "modify": "edit"}


class Subcommands(click.Group):
    """The group; an error about an unknown command gets a hint."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            meant = _OTHER_WORDS.get(args[0])
            is_here = meant in self.commands
            hint = f"did you mean {meant!r}?" if is_here else did_you_mean(args[0], self.commands)
            ctx.fail(f"no such command {args[0]!r}; {hint or 'the commands are ' + ', '.join(self.commands)}")
        return super().resolve_command(ctx, args)
