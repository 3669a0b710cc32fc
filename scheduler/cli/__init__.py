"""The command line `scheduler`: one file a command; this one finds the command and says what went wrong.

A command's module is imported when the command is called, so that `scheduler --help` costs nothing. Exit status: 0
done, 1 a run or a function has failed, 2 the command could not be carried out: one message on stderr says why.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from ..errors import SchedulerError
from ..formats.error_text import explained

#: Command → what it does, in a line. Each is the attribute `command` of the module of its name.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "up": "Serve the functions over HTTP and fire their timers.",
        "worker": "Run functions for the daemons of other machines, as part of a Celery fleet.",
        "timers": "Add, list, enable, disable, edit, run, backfill, remove, import and export timers.",
        "runs": "Show what ran, how it ended and how late it was.",
        "logs": "Show what runs printed.",
        "call": "Call a function of cloud.py here and now.",
        "next": "Show when a cron expression fires next.",
        "simulate": "Show every fire of all timers in a span of time; run nothing.",
        "doctor": "Look whether everything that a timer needs is well.",
        "demo": "See it all work in fifteen seconds, on a store of its own.",
    }
)


class RefusalError(click.ClickException):
    """The command could not be carried out: one message, exit status 2."""

    exit_code = 2


class Program(click.Group):
    """The group of all commands; errors of the service leave it as one clear message."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and (close := difflib.get_close_matches(args[0], COMMANDS, n=1)):
            ctx.fail(f"no such command {args[0]!r}; did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not _asks_for_timer(error):
                raise
            raise click.UsageError(f"{error.message}; a timer is named by --timer NAME", error.ctx) from error
        except SchedulerError as error:
            raise RefusalError(explained(error)) from error
        except ValueError as error:
            if not _is_of_quartzcron(error):
                raise
            raise RefusalError(explained(error)) from error


def _asks_for_timer(error: click.UsageError) -> bool:
    """Whether a name stands behind `runs`, `logs` or `simulate`; it is that of a timer, as a rule."""
    options = {option for param in error.ctx.command.params for option in param.opts} if error.ctx else set()
    return "--timer" in options and error.message.startswith("Got unexpected extra argument")


def _is_of_quartzcron(error: ValueError) -> bool:
    from quartzcron import CronError

    return isinstance(error, CronError)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quartzcron", prog_name="scheduler")
def program() -> None:
    """Timers that call your cloud functions, each on a Quartz cron expression or every N seconds.

    Start with `scheduler demo`, then `scheduler up` in the folder of your cloud.py.
    """


def main() -> None:
    """Run the command line and end the program."""
    _open_missing_streams()
    status: int | str | None = 0
    try:
        program(prog_name="scheduler")
    except SystemExit as ended:
        status = ended.code
    except BrokenPipeError:
        # The reader, `head` say, has what it wanted; the interpreter must not complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"Error: the output cannot be written ({error.strerror or error})", file=sys.stderr)
        status = 2
    _end(status)


def _open_missing_streams() -> None:
    """A program that was started with a closed stdin, stdout or stderr must not fall over that."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _end(status: int | str | None) -> None:
    """End the program; threads that a cloud.py left behind must not keep it alive for ever."""
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    if not left:
        sys.exit(status)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0)
