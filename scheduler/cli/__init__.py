"""The command line `scheduler`: one file per command. Here are the table of commands and the handling of errors.

A command's module is imported when the command is called, so that `scheduler --help` imports nothing else. Exit status:
0 done, 1 a run or a function failed, 2 the command could not be carried out; one message on stderr gives the reason.

docs/files.md says what each file holds.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click

from ..errors import SchedulerError
from ..formats.error_text import explained
from ..importing import imported
from ..project.suggestions import did_you_mean

#: Name of a command → its help in one line. The command is the attribute `command` of the module of that name.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "up": "Serve the functions over HTTP and fire their timers.",
        "worker": "Run functions for the daemons of a store, as part of a Celery fleet.",
        "timers": "Add, list, show, enable, disable, edit, run, backfill, remove, import, apply and export timers.",
        "pause": "Pause all timers, or those of an environment or with a tag.",
        "resume": "End a pause.",
        "calendars": "Add, change, list, show and remove calendars of working days.",
        "runs": "Show past runs: outcome, lateness and duration; cancel one, run one again.",
        "logs": "Show what functions printed.",
        "changes": "Show changes of timers: who, when, through which interface, what and why.",
        "alerts": "Show alerts; test the rules of scheduler.toml.",
        "call": "Call a function of cloud.py once, in this process.",
        "next": "Show the next fire times of a cron expression.",
        "simulate": "Show all fire times of all timers in a time span; nothing runs.",
        "doctor": "Check everything that a timer needs.",
        "console": "Serve the web console; make links and tokens to sign in.",
        "demo": "See timers at work for fifteen seconds, on a temporary store.",
    }
)


#: Commands of other programs, and the hint for each.
_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("start", "serve", "server", "beat", "daemon", "dev"), "did you mean 'up'?"),
        **dict.fromkeys(("stop", "restart", "reload"), "Ctrl-C or SIGTERM ends `scheduler up`; --reload loads changes"),
        **dict.fromkeys(("status", "ps", "health", "check"), "did you mean 'doctor', 'runs' or 'timers list'?"),
        **dict.fromkeys(
            ("deploy", "publish", "login", "switch", "init", "env", "upload"),
            "`scheduler up` serves the folder that it is started in; nothing is uploaded, and there is no login",
        ),
        "metrics": "`scheduler up --metrics-port PORT` serves them",
        "version": "did you mean '--version'?",
        "help": "did you mean '--help'?",
    }
)


class RefusalError(click.ClickException):
    """The command could not be carried out: one message, exit status 2."""

    exit_code = 2


class Program(click.Group):
    """The group of all commands; an error of the service or of an expression ends it with one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS]  # the module list.py is called `list` here

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = imported(f"{__name__}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            ctx.fail(f"no such command {args[0]!r}; {self._hint(ctx, args[0])}")
        return super().resolve_command(ctx, args)

    def _hint(self, ctx: click.Context, name: str) -> str:
        """A command of `timers` with exactly that name, else a similar command, else all commands."""
        timers = self.get_command(ctx, "timers")
        if isinstance(timers, click.Group) and name in timers.commands:
            return f"did you mean 'timers {name}'?"
        return _ELSEWHERE.get(name) or did_you_mean(name, COMMANDS) or f"the commands are {', '.join(COMMANDS)}"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if not (meant := _option_meant(error)):
                raise
            raise click.UsageError(
                f"No such option {error.option_name!r}; did you mean {meant!r}?", error.ctx
            ) from error
        except click.UsageError as error:
            if not (hint := _hint_on_extra_words(error)):
                raise
            raise click.UsageError(f"{error.message}; {hint}", error.ctx) from error
        except SchedulerError as error:
            raise RefusalError(_explained(error)) from error
        except ValueError as error:
            if not _is_cron_error(error):
                raise
            raise RefusalError(_explained(error)) from error
        except PermissionError as error:
            if error.filename is None:
                raise
            raise RefusalError(
                f"{error.filename}: cannot be opened by the user of this program ({error.strerror})"
            ) from error


def _explained(error: Exception) -> str:
    """The message of an error, with a hint if an expression has no quotes: then each field is an argument."""
    expression = str(getattr(error, "expression", None) or getattr(error.__cause__, "expression", None) or "")
    is_one_field = len(expression) <= _LONGEST_FIELD and len(expression.split()) == 1 and expression[0] in _FIRST
    hint = "\nput the expression in quotes, as one argument" if is_one_field else ""
    return f"{explained(error)}{hint}"


_LONGEST_FIELD = 20
#: The characters with which the first field of an expression may begin.
_FIRST = "0123456789*/"


def _option_meant(error: click.NoSuchOption) -> str:
    """The option whose value has that name, or that begins like it; empty if there is none, or click has a hint."""
    params = [param for param in error.ctx.command.params if isinstance(param, click.Option)] if error.ctx else []
    given = error.option_name.lower().replace("_", "-")
    named = [param.opts[0] for param in params if given == f"--{(param.name or '').replace('_', '-')}"]
    alike = [flag for param in params for flag in param.opts if flag.startswith("--") and _begins(given, flag)]
    meant = named or ([] if error.possibilities else alike)
    return meant[0] if meant else ""  # the module next.py is called `next` here


def _begins(one: str, other: str) -> bool:
    return len(one) > _SHORTEST_FLAG and (one.startswith(other) or other.startswith(one))


#: `--` and a letter, with which many options begin.
_SHORTEST_FLAG = 3


def _hint_on_extra_words(error: click.UsageError) -> str:
    """The hint on an extra argument: it is usually the name of a timer, or a field of an expression without quotes."""
    params = error.ctx.command.params if error.ctx else []
    options = {option for param in params for option in param.opts}
    is_extra = error.message.startswith("Got unexpected extra argument")
    if is_extra and "--timer" in options:
        return "use --timer NAME to name a timer"
    if (is_extra and "expression" in options) or ("--cron" in options and "is not a parameter" in error.message):
        return "put an expression in quotes, as one argument"
    return ""


def _is_cron_error(error: ValueError) -> bool:
    from quartzcron import CronError

    return isinstance(error, CronError)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quartzcron", prog_name="scheduler")
def program() -> None:
    """Timers that call your cloud functions on a Quartz cron expression or every N seconds.

    Start with `scheduler demo`, then `scheduler up` in the folder of your cloud.py.
    """


def main() -> None:
    """Run the command line and end the program."""
    _open_missing_streams()
    _print_every_character()
    _lift_umask_of_owner()
    status: int | str | None = 0
    try:
        program(_as_utf_8(sys.argv[1:]), prog_name="scheduler")
    except SystemExit as ended:
        status = ended.code
    except BrokenPipeError:
        # The reader, for example `head`, has closed the pipe. Without this, the interpreter would report it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if not _is_of_output(error):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"Error: the output cannot be written ({error.strerror or error})", file=sys.stderr)
        status = 2
    _end(status)


def _is_of_output(error: OSError) -> bool:
    """Whether an error comes from writing output; any other one is a bug, and shown with its traceback."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__", "").partition(".")[0] in ("click", "rich")


def _open_missing_streams() -> None:
    """Open /dev/null for each of stdin, stdout and stderr that was closed when the program started.

    Child processes inherit them; otherwise a socket of theirs would get the descriptor of a standard stream.
    """
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened == descriptor:
                os.set_inheritable(opened, True)
            else:
                os.dup2(opened, descriptor)
                os.close(opened)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _print_every_character() -> None:
    """Escape characters that the encoding of a stream lacks, such as Chinese in latin-1, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _lift_umask_of_owner() -> None:
    """Let the umask keep files from others only: under 0777, a process could not read what it has just written."""
    os.umask(os.umask(0o077) & 0o077)


def _as_utf_8(arguments: list[str]) -> list[str]:
    """The arguments decoded from UTF-8, else from the encoding of the locale; ends the program for one in neither."""
    decoded = []
    for argument in arguments:
        encoded = os.fsencode(argument)
        try:
            decoded.append(encoded.decode())
        except UnicodeDecodeError:
            # The interpreter has decoded it as the locale says, for example from GB18030; it escapes what is neither.
            if any("\udc80" <= character <= "\udcff" for character in argument):
                print(f"Error: an argument is not UTF-8: {encoded!r}", file=sys.stderr)
                sys.exit(2)
            decoded.append(argument)
    return decoded


def _end(status: int | str | None) -> None:
    """End the program, even if threads or processes that a cloud.py started still run."""
    running = [
        thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon
    ]
    # Otherwise multiprocessing would wait for them.
    multiprocessing = sys.modules.get("multiprocessing")
    # The worker of a fleet is done; finalizing Celery's modules would take another second.
    is_worker = "billiard" in sys.modules
    if not running and not is_worker and not (multiprocessing and multiprocessing.active_children()):
        sys.exit(status)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0)
