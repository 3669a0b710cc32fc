"""scheduler console: the web console, links to sign in, and tokens."""

from __future__ import annotations

import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ..console.installed import check_installed
from ..errors import ConfigError
from ..formats import display
from ..formats.json import print_json, print_json_line
from ..project.project import Project, current_project
from ..up.log_setup import log_to_stderr
from ..up.sockets import listening_socket, local_url
from .author import by_user
from .options import json_option, store_option
from .subcommands import Subcommands

if TYPE_CHECKING:
    from ..console.tokens import TokenTable
    from ..store.database import Store

_ROLES = ("viewer", "operator")


@click.group("console", cls=Subcommands, invoke_without_command=True)
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=int, metavar="PORT", help="Port to listen on; 0 takes any free one (default 3001).")
@click.option("--tz", metavar="ZONE", help="Time zone if a browser names none.")
@store_option
@json_option
@click.pass_context
def command(context: click.Context, /, *, host: str | None, port: int | None, as_json: bool, **options: Any) -> None:
    """Serve the web console of the store, until Ctrl-C.

    Prints a link that signs you in, once, within ten minutes. The commands below make further ones.
    """
    if context.invoked_subcommand is not None:
        return
    check_installed()
    from ..console.app import make_app
    from ..console.server import ConsoleServer

    project = current_project(console_host=host, console_port=port, **options)
    log_to_stderr(project.settings)
    settings = project.settings
    with (
        project.open_or_create_store() as store,
        listening_socket(settings.console_host, settings.console_port) as listener,
    ):
        port = listener.getsockname()[1]
        # Other users may read a log, so the link is printed on a terminal only.
        link = _link(project, store, "operator", port) if sys.stdout.isatty() or as_json else None
        _announce(project, store, port, link, as_json=as_json)
        server = ConsoleServer(make_app(store, settings), listener)
        for number in (signal.SIGTERM, signal.SIGINT):
            # As process 1, a program gets no signal that it does not handle.
            signal.signal(number, lambda *_: server.stop())
        server.serve()


def _announce(project: Project, store: Store, port: int, link: str | None, *, as_json: bool) -> None:
    address = _address(project, port)
    if as_json:
        print_json_line({"url": address, "link": link, "store": str(store)})
        return
    click.echo(f"console of {store}:  {link or address}")
    if link is None:
        click.echo(f"a link to sign in:  {display.command('console', 'link')}")
    sys.stdout.flush()


def _tokens(store: Store) -> TokenTable:
    check_installed()
    from ..console.tokens import TokenTable

    return TokenTable(store)


def _now() -> datetime:
    return datetime.now(UTC)


def _link(project: Project, store: Store, role: str, port: int) -> str:
    from ..console.tokens import new_link

    return new_link(store, _address(project, port), role, now=_now())


def _address(project: Project, port: int) -> str:
    return f"{local_url(project.settings.console_host, port)}/"


@command.command("link")
@click.option("--role", type=click.Choice(_ROLES), default="operator", help="Role of the link (default operator).")
@click.option("--port", type=int, metavar="PORT", help="Port of the console (default 3001).")
@store_option
@json_option
def link(*, role: str, port: int | None, store: str | None, as_json: bool) -> None:
    """Print a link that signs its reader in, once, within ten minutes."""
    project = current_project(store=store, console_port=port)
    host, port = project.settings.console_host, project.settings.console_port
    if port == 0:
        raise ConfigError("console_port = 0 takes any free port; give the one that the console printed: --port PORT")
    with project.open_or_create_store() as opened:
        address = _link(project, opened, role, port)
    if as_json:
        print_json({"link": address})
    else:
        click.echo(address)
    if not _listens(host, port):
        click.echo(
            f"nothing listens on port {port} of this machine yet; {display.command('up')} or "
            f"{display.command('console')} serves the console, --port names another port",
            err=True,
        )


def _listens(host: str, port: int) -> bool:
    """Whether anything accepts connections at the console's address; True if that cannot be known."""
    any_address = host in ("", "0.0.0.0", "::")
    try:
        with socket.create_connection(("localhost" if any_address else host, port), timeout=1):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return True


@command.group("tokens", cls=Subcommands)
def tokens() -> None:
    """Add, list and remove the tokens for signing in."""


@tokens.command("add", short_help="Make a token, and print it.")
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), default="viewer", help="Role of the token (default viewer).")
@click.option(
    "--days", type=click.IntRange(1, 3_650), metavar="N", help="How long it is valid (default until removed)."
)
@store_option
@json_option
def add_token(*, name: str, role: str, days: int | None, store: str | None, as_json: bool) -> None:
    """Make a token, and print it; the store keeps a digest only, so it is never shown again."""
    project = current_project(store=store)
    lasts = None if days is None else timedelta(days=days)
    with project.open_or_create_store() as opened:
        secret = _tokens(opened).add(name, role, now=_now(), lasts=lasts, by=by_user())
    if as_json:
        print_json({"name": name, "role": role, "token": secret})
    else:
        click.echo(secret)


@tokens.command("list")
@store_option
@json_option
def list_tokens(*, store: str | None, as_json: bool) -> None:
    """List the valid tokens, sessions and links."""
    project = current_project(store=store)
    with project.open_store() as opened:
        found = _tokens(opened).list(now=_now())
    from ..core.zone_names import zone

    tz = zone(project.settings.tz)
    rows = [
        {
            "name": token.name,
            "kind": token.kind,
            "role": token.role.name.lower(),
            "created_at": display.iso(token.created_at, tz),
            "expires_at": display.iso(token.expires_at, tz),
        }
        for token in found
    ]
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("no tokens; make one with:  " + display.command("console", "tokens", "add", "NAME"))
    else:
        display.print_table(
            ("NAME", "KIND", "ROLE", "CREATED", "HOLDS UNTIL"),
            (
                (
                    token.name,
                    token.kind,
                    token.role.name.lower(),
                    display.instant(token.created_at, tz),
                    display.instant(token.expires_at, tz),
                )
                for token in found
            ),
        )


@tokens.command("rm")
@click.argument("name")
@store_option
@json_option
def remove_tokens(*, name: str, store: str | None, as_json: bool) -> None:
    """Remove the token of a name, and its sessions and links."""
    project = current_project(store=store)
    with project.open_store() as opened:
        removed = _tokens(opened).remove(name, now=_now(), by=by_user())
    if not removed:
        raise ConfigError(f"there is no token {name!r}")
    if as_json:
        print_json({"name": name, "removed": removed})
    else:
        click.echo(f"removed {name}")
