"""Messages to the addresses of apprise: each is sent by a process of its own, because apprise's plugins are third-party
code.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from ..core.addresses import HIDDEN, hide_passwords
from ..install import install_command
from ..own_programs import command
from .requests import Answer

#: How long a message may take, to all addresses of an alert together.
DEADLINE_S = 60.0
#: Parts of an address that are shorter are not looked for in errors.
_SECRET_LENGTH = 6


def is_installed() -> bool:
    """Whether the package apprise is installed."""
    return importlib.util.find_spec("apprise") is not None


def missing_text() -> str:
    """The message for a machine without the package apprise."""
    return f"the package apprise is not installed: {install_command('alerts')}"


def digest_of(address: str) -> str:
    """A short name of an address, which does not show it."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]


async def send_messages(messages: Sequence[Mapping[str, str]]) -> list[Answer]:
    """Send messages, each with its address, title and body; without a title, only the address is checked."""
    if not is_installed():
        return [Answer(False, missing_text()) for _ in messages]
    try:
        process = await asyncio.create_subprocess_exec(
            *command("scheduler.alerts.apprise_program"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return [Answer(False, f"no process can be started ({error})") for _ in messages]
    answers: list[Answer] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            await _talk(process, messages, answers)
        missing = "apprise ended without an answer"
    except TimeoutError:
        missing = f"not sent within {DEADLINE_S:g} s"
    except (OSError, ValueError) as error:
        missing = f"apprise gave no answer ({type(error).__name__})"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return answers + [Answer(False, missing) for _ in messages[len(answers) :]]


async def _talk(
    process: asyncio.subprocess.Process, messages: Sequence[Mapping[str, str]], answers: list[Answer]
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(list(messages)).encode())
    await process.stdin.drain()
    process.stdin.close()
    for message in messages:
        line = await process.stdout.readline()
        if not line:
            return
        answer = json.loads(line)
        error = answer.get("error")
        answers.append(Answer(error is None, "sent" if error is None else _shown(str(error), message["address"])))


def _shown(error: str, address: str) -> str:
    """An error without the address and its secrets; in an address of apprise, each part may be a token."""
    text = hide_passwords(error.replace(address, f"{address.partition('://')[0]}://…"), address)
    parts = {part for part in re.split(r"[/@:?&=#]", address.partition("://")[2]) if len(part) >= _SECRET_LENGTH}
    for part in sorted(parts | set(map(unquote, parts)), key=len, reverse=True):
        text = text.replace(part, HIDDEN)
    return text
