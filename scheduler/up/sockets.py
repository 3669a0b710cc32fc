"""The listening sockets of `scheduler up`: bound before anything else starts, or inherited from a parent process."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from ..errors import ConfigError
from ..project.settings import Settings
from .handover import Handover


class Sockets(NamedTuple):
    """One for the functions, and one each for the preview, the metrics and the console if they are served."""

    live: socket.socket
    stage: socket.socket | None
    metrics: socket.socket | None
    console: socket.socket | None = None


def bind_sockets(settings: Settings, stage_port: int | None, stack: ExitStack) -> Sockets:
    """Listen on every port in the settings; ConfigError if one is unavailable. The sockets close with the stack."""
    wanted = (
        (settings.host, settings.port, "--port"),
        (settings.host, stage_port, "--stage"),
        (settings.metrics_host, settings.metrics_port, "--metrics-port"),
    )
    live, stage, metrics = (
        None if port is None else stack.enter_context(listening_socket(host, port, option=option))
        for host, port, option in wanted
    )
    assert live is not None
    return Sockets(live, stage, metrics)


def inherited_sockets(handover: Handover, stack: ExitStack) -> Sockets:
    """The supervisor's sockets on which this process accepts; they close with the stack."""
    assert handover.listener is not None
    live = stack.enter_context(socket.socket(fileno=handover.listener))
    fileno = handover.metrics_listener
    return Sockets(live, None, None if fileno is None else stack.enter_context(socket.socket(fileno=fileno)))


@contextlib.contextmanager
def listening_socket(host: str, port: int, *, option: str = "--port") -> Iterator[socket.socket]:
    """A socket that listens at an address; ConfigError names the option to change if the address is unavailable."""
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(bound_socket(host, port))
            listener.listen(128)
        except OSError as error:
            raise ConfigError(_why_not(host, port, option, error)) from error
        yield listener


@contextlib.contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound to an address; ConfigError for an invalid one, OSError for one that is unavailable."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a valid host name"
        raise ConfigError(f"no address to listen on: --host {host[:80]} ({why})") from error
    with bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        yield bound


def _why_not(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        # What is no option is a setting.
        where = "" if option.startswith("--") else " in scheduler.toml"
        other = f"stop the other program, or choose another port: {option} {_free_port(host, port)}{where}"
        return f"port {port} of {host} is in use; {other}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have; choose one above 1023: {option} 3000"
    return f"cannot listen on port {port} of {host}: {error.strerror}"


#: How many ports behind the one in use are tried.
_TRIED = 50
#: The console's usual port, which a service would take for it.
_OF_CONSOLE = next(field.default for field in dataclasses.fields(Settings) if field.name == "console_port")


def _free_port(host: str, port: int) -> int:
    """A free port behind one in use, other than the console's usual one; 0, which takes any, if none is found."""
    for other in range(port + 1, min(port + 1 + _TRIED, 65_536)):
        if other == _OF_CONSOLE:
            continue
        with contextlib.suppress(OSError, ConfigError), bound_socket(host, other):
            return other
    return 0


def local_url(host: str, port: int) -> str:
    """The address at which a program on this machine reaches the server."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
