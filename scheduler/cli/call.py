"""scheduler call: calls a function of cloud.py in this process, without a server or a timer."""

from __future__ import annotations

import functools
import json
import os
import secrets
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

import click

from ..core.deadlines import FUNCTION_LIMIT_S
from ..engine.execution import Execution
from ..engine.failures import RefusedError, encode
from ..errors import (
    ArgumentError,
    FunctionTimedOutError,
    LeanCloudError,
    LeanEngineError,
    UnfinishedResultError,
    is_refusal,
)
from ..executors.outcome import error_text, repr_text
from ..functions.binding import bind
from ..functions.calling import run
from ..functions.context import Call
from ..functions.loading import Target
from ..functions.tracebacks import from_users_frame
from ..project.function_check import undefined_functions, unknown_function
from ..project.project import Project, current_project, printing_to_stderr
from ..project.slow_loading import reporting_while_loading
from .arguments import PARAMETERS_HELP, parse_params
from .options import json_option, target_option


@click.command("call", epilog=PARAMETERS_HELP)
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--params", metavar="JSON", help="Parameters as a JSON object.")
@target_option
@click.option(
    "--limit", "limit_s", type=float, metavar="S", default=FUNCTION_LIMIT_S, help="Time limit in seconds (default 15)."
)
@json_option
def command(
    *, name: str, pairs: tuple[str, ...], params: str | None, target: str | None, limit_s: float, as_json: bool
) -> None:
    """Call a function of cloud.py once, in this process, and print what it returns as JSON.

    With --json, what the function itself prints goes to stderr. Exit status 1 if the function fails or exceeds its time
    limit.
    """
    project = current_project()
    arguments = parse_params(pairs, params)
    target_name = project.required_target_name(target)
    with printing_to_stderr(), reporting_while_loading(target_name):
        loaded = project.load(target_name)
    _warn_of_declarations(project, loaded)
    if name not in loaded.registry:
        raise unknown_function(name, target_name, loaded.registry.names(), undefined_functions(loaded))
    if not as_json:
        _print_result(_result(loaded, name, arguments, limit_s))
        return
    with printing_to_stderr():
        result = _result(loaded, name, arguments, limit_s)
    _print_result(result, as_json=True)


def _warn_of_declarations(project: Project, loaded: Target) -> None:
    """Report on stderr which declarations `scheduler up` would leave out, and which options have no effect.

    The user may have just written them.
    """
    if not loaded.registry.timers:
        return
    from ..functions.declarations import idle_options, read_declarations

    declared = read_declarations(loaded.registry, project.environment, project.settings.default_zone)
    for sentence in (*declared.faults, *idle_options(declared)):
        click.echo(f"Warning: {sentence}", err=True)


def _result(target: Target, name: str, arguments: dict[str, Any], limit_s: float) -> Any:
    """The function's return value; ends the program with status 1 if the function raises."""
    function = target.registry.get(name)
    bound = bind(function, arguments)
    call = Call(name, secrets.token_hex(8))
    try:
        with _keeping_streams():
            return Execution(1, prepare=lambda: None).bounded(call, functools.partial(run, function, bound), limit_s)
    except FunctionTimedOutError as error:
        _fail(f"{error} {name} exceeded its limit of {limit_s:g} s")
    except LeanEngineError as error:
        _fail(f"LeanEngineError [{error.code}] {error.message}")
    except LeanCloudError as error:
        _fail(str(error))
    except ArgumentError:
        raise
    except UnfinishedResultError as error:
        _fail(str(error))
    except Exception as error:
        if is_refusal(error):  # of LeanCloud's SDK
            _fail(error_text(error))
        click.echo(_traceback(error), err=True, nl=False)
        _fail(f"{name} raised {error_text(error)}")


@contextmanager
def _keeping_streams() -> Iterator[None]:
    """Put back stdout and stderr, to which the result goes, if the function replaces or closes them."""
    kept = [(name, stream, _copy_of(stream)) for name in ("stdout", "stderr") if (stream := getattr(sys, name))]
    try:
        yield
    finally:
        for name, stream, copy in kept:
            if copy is not None and stream.closed:
                stream = open(copy, "w", encoding=stream.encoding, errors=stream.errors)  # noqa: PTH123, SIM115, PLW2901
            elif copy is not None:
                os.close(copy)
            setattr(sys, name, stream)


def _copy_of(stream: TextIO) -> int | None:
    """Another descriptor of a stream; None if it has none."""
    try:
        return os.dup(stream.fileno())
    except (OSError, ValueError):
        return None


def _traceback(error: Exception) -> str:
    try:
        text = "".join(traceback.format_exception(from_users_frame(error)))
    except BaseException as another:  # the exception's own code may raise
        text = f"(no traceback: {type(another).__name__})\n"
    return _printable(text)


def _printable(text: str) -> str:
    """A text without lone surrogates, which cannot be sent to a terminal."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    raise SystemExit(1)


def _print_result(result: Any, *, as_json: bool = False) -> None:
    """Print a result as it would be sent over HTTP; a value that is not JSON as its repr, with --json as a text."""
    try:
        encode(result)
        text = json.dumps(result, ensure_ascii=False, indent=2)
        if not _can_be_encoded(text):  # a lone surrogate is sent escaped
            text = json.dumps(result, indent=2)
    except BaseException as error:
        reason = error.failure.error if isinstance(error, RefusedError) else error_text(error)
        shown = repr_text(result)
        text = json.dumps(shown, ensure_ascii=False) if as_json else shown
        click.echo(f"Warning: over HTTP this result is an error: {_printable(reason)}", err=True)
    click.echo(text)


def _can_be_encoded(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
