"""HttpExecutor: functions run at a remote engine, called over HTTP, each within a total deadline.

The deadline covers everything from the connection to the last byte, so a slow answer is cut off too. The function's
output stays in the log of the engine; the request id connects it with the run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ..clock import Clock, SystemClock
from ..core.addresses import hide_passwords, without_password
from ..core.breaker import Verdict
from ..core.run import Ending, Outcome, Task
from ..core.timer import Environment
from ..errors import ConfigError
from . import Report, outcome
from .kinds import Deployment
from .mailbox import Mailbox

if TYPE_CHECKING:
    import httpx

#: The most bytes of an answer that are read; a longer one closes the connection.
MAX_READ = 65_536


def make(deployment: Deployment) -> HttpExecutor:
    app_id, app_key = deployment.keys()
    url, hook_key = deployment.settings["remote_engine"], deployment.hook_key()
    return HttpExecutor(url, app_id=app_id, app_key=app_key, hook_key=hook_key)


def check(deployment: Deployment) -> Iterator[str]:
    """Ping the remote engine."""
    import httpx

    url = _checked(deployment.settings["remote_engine"])
    address = f"{url.rstrip('/')}/__engine/1/ping"
    shown = without_password(url)
    try:
        httpx.get(address, timeout=5, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(f"{shown}: the remote engine does not answer ({hide_passwords(str(error), url)})") from None
    yield f"{shown} answers"


def _checked(url: str) -> str:
    """The address of an engine; ConfigError if it is invalid, or if a password in it makes it ambiguous."""
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or url.count("@") > ("@" in parts.netloc):
        raise ConfigError(
            f"expected the address of a remote engine, as in https://example.com, got {without_password(url)!r}; "
            "in a password, write @ as %40, / as %2F and : as %3A"
        )
    return url


class HttpExecutor:
    """Calls `POST <url>/1.1/functions/<name>` with the keys of the application, at most `max_concurrency` at a time.

    Without the hook key, the engine does not accept the headers of a timer, and functions do not see the timer.
    """

    def __init__(
        self,
        url: str,
        *,
        app_id: str,
        app_key: str,
        hook_key: str | None = None,
        max_concurrency: int = 100,
        clock: Clock | None = None,
    ) -> None:
        self._url = _checked(url).rstrip("/")
        self._headers = {"X-LC-Id": app_id, "X-LC-Key": app_key, "Content-Type": "application/json"}
        if hook_key:
            self._headers["X-LC-Hook-Key"] = hook_key
        self._max_concurrency = max_concurrency
        self._clock = clock or SystemClock()
        self._ended: Mailbox[tuple[Task, Ending]] = Mailbox()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote engine", daemon=True)
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(max_concurrency)
        #: The number of submitted tasks, and of those that no longer wait for a slot; each is written by one thread
        #: only.
        self._submitted = self._admitted = 0
        #: The tasks that wait for a slot, by run; the thread that removes one handles it.
        self._unbegun: dict[int, Task] = {}
        self._begun = 0
        #: The calls in progress, by run; and those that are cancelled on request. Used by the loop's thread only.
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._to_cut: set[int] = set()
        self._thread.start()

    def submit(self, tasks: Sequence[Task]) -> None:
        self._submitted += len(tasks)
        for task in tasks:
            self._unbegun[task.run_id] = task
            asyncio.run_coroutine_threadsafe(self._run(task), self._loop)

    def collect(self) -> Report:
        return Report(ended=self._ended.take())

    def filenos(self) -> list[int]:
        return [self._ended.fileno()]

    def next_check(self) -> float | None:
        return 0.0 if self._ended else None

    @property
    def waiting(self) -> int:
        return self._submitted - self._admitted

    def withdraw(self) -> list[Task]:
        # The loop's thread begins tasks meanwhile.
        return [task for run_id in list(self._unbegun) if (task := self._unbegun.pop(run_id, None)) is not None]

    @property
    def begun(self) -> int:
        return self._begun

    def cancel(self, run_ids: Collection[int]) -> None:
        """Cancel the calls of these runs; the function may still be running in the remote engine."""
        self._loop.call_soon_threadsafe(self._cut, list(run_ids))

    def _cut(self, run_ids: Sequence[int]) -> None:
        for run_id in run_ids:
            if (task := self._unbegun.pop(run_id, None)) is not None:
                self._ended.post((task, outcome.cancelled_unbegun(self._clock.now())))
            elif (call := self._calls.get(run_id)) is not None and run_id not in self._to_cut:
                self._to_cut.add(run_id)
                call.cancel()

    def stop(self) -> None:
        """Cancel every call in progress."""
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._ended.close()

    async def _shut_down(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _run(self, task: Task) -> None:
        started_at = self._clock.now()
        has_begun = False
        try:
            async with asyncio.timeout(task.limit_s), self._slot():
                has_begun = self._unbegun.pop(task.run_id, None) is not None
                if not has_begun:
                    return
                end = await self._call(task)
        except TimeoutError:
            if not has_begun and self._unbegun.pop(task.run_id, None) is None:
                return
            end = outcome.over_limit(task.limit_s)
        except asyncio.CancelledError:
            if task.run_id not in self._to_cut:
                raise
            end = outcome.CANCELLED
        except Exception as error:
            end = outcome.CallOutcome(Outcome.FAILED, Verdict.FAILURE, outcome.error_text(error))
        self._to_cut.discard(task.run_id)
        self._ended.post((task, end.ending(started_at, self._clock.now())))

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Hold one of the `max_concurrency` slots; a cancelled call stops waiting for one."""
        try:
            await self._slots.acquire()
        finally:
            self._admitted += 1
        try:
            yield
        finally:
            self._slots.release()

    async def _call(self, task: Task) -> outcome.CallOutcome:
        self._begun += 1
        if (current := asyncio.current_task()) is not None:
            self._calls[task.run_id] = current
        try:
            return await self._answer(task)
        finally:
            self._begun -= 1
            self._calls.pop(task.run_id, None)

    async def _answer(self, task: Task) -> outcome.CallOutcome:
        client = self._opened_client()
        address = f"{self._url}/1.1/functions/{quote(task.function, safe='')}"
        headers = {**self._headers, **_headers_of(task)}
        async with client.stream("POST", address, content=task.params.encode(), headers=headers) as response:
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) >= MAX_READ:
                    break
        text = body[:MAX_READ].decode("utf-8", "replace")
        if response.status_code == 503 and '"code":124' in text.replace(" ", ""):
            return outcome.CallOutcome(Outcome.TIMED_OUT, Verdict.FAILURE, "over the limit of the remote engine")
        return outcome.of_status(response.status_code, text)

    def _opened_client(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx  # takes a tenth of a second to import, and most services never call a remote engine

            # Each run has a deadline of its own. Redirects would carry the keys to another server.
            limits = httpx.Limits(max_connections=self._max_concurrency)
            self._client = httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=False, trust_env=False)
        return self._client


def _headers_of(task: Task) -> dict[str, str]:
    """The headers that name the timer to the function (engine protocol, section 3)."""
    return {
        "X-LC-Prod": "1" if task.environment == Environment.PRODUCTION else "0",
        "X-Request-Id": task.request_id,
        "X-Timer-Name": quote(task.timer),
        "X-Timer-Scheduled-Time": _iso(task.fire_time),
        "X-Timer-Attempt": str(task.attempt),
        **({"X-Timer-Past-Due": "true"} if task.past_due else {}),
    }


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
