"""The check of the server: whether this folder's `scheduler up`, or else the program on its port, answers."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..formats import display
from ..project.running_services import RunningService
from .findings import Finding

#: A server whose event loop runs answers ping in milliseconds, from a thread of its own.
ANSWER_WITHIN_S = 5.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def check_servers(services: Sequence[RunningService], host: str, port: int) -> Iterator[Finding]:
    """Ping the engines of the folder's running services; if there is none, that of the settings' address."""
    for service in services:
        yield from check_http(service.host, service.port)
    if not services:
        for finding in check_http(host, port):
            # Another folder's service has the same port by default.
            yield replace(finding, text=f"{finding.text}; no `scheduler up` of this folder has that port")


def check_http(host: str, port: int) -> Iterator[Finding]:
    """Ping the engine at an address; ignore any other program on that port."""
    address = f"{_ANY.get(host, host)} port {port}"
    connection = http.client.HTTPConnection(_ANY.get(host, host), port, timeout=ANSWER_WITHIN_S)
    began = time.perf_counter()
    try:
        connection.connect()
    except OSError:
        return
    try:
        connection.request("GET", "/__engine/1/ping")
        status = connection.getresponse().status
    except TimeoutError:
        yield Finding.error(
            "server",
            f"{address} takes connections, but does not answer within {ANSWER_WITHIN_S:g} s: the event loop of its "
            "server hangs, or it is stopped",
        )
        return
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()
    if status == http.client.OK:
        yield Finding.ok("server", f"{address} answered in {display.seconds(time.perf_counter() - began)}")
