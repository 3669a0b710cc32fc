"""What functions print and log while they answer: captured by the context of the call."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scheduler
from scheduler.core.log_limits import MAX_LINE_LENGTH
from scheduler.engine import Engine
from scheduler.engine.capture import CapturedLine, capturing
from tests.scheduler.engine.wsgi_client import WITH_HOOK_KEY, WITH_KEY, Client
from tests.waiting import PATIENCE_S, eventually


class CapturingClient(Client):
    """A client that captures the lines of its calls in `captured`."""

    def __init__(self, app: Engine) -> None:
        super().__init__(app)
        self.captured: list[CapturedLine] = []

    def __enter__(self) -> CapturingClient:
        # In the test itself: pytest has streams of its own for fixtures.
        self._block = capturing(self.captured.append)
        self._block.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._block.__exit__(None, None, None)


@pytest.fixture
def client(engine: Engine) -> CapturingClient:
    """A client of the engine that can capture its lines."""
    return CapturingClient(engine)


def shown(lines: list[CapturedLine]) -> list[tuple[str, str, str]]:
    return [(line.level, line.function, line.text) for line in lines]


def test_lines_come_with_their_level_function_and_request(engine: Engine, client: CapturingClient) -> None:
    """stdout is info, stderr is error, a log record keeps its own level; an unfinished line counts at the end."""

    @engine.define
    def talks() -> None:
        print("one\ntwo")
        print("oh", file=sys.stderr)
        logging.getLogger("shop").warning("careful\nhere")
        sys.stdout.writelines(["with", "out end"])

    with client:
        client.call("talks", headers=WITH_KEY | {"X-Request-Id": "r-1"})
    assert shown(client.captured) == [
        ("info", "talks", "one"),
        ("info", "talks", "two"),
        ("error", "talks", "oh"),
        ("warning", "talks", "careful"),
        ("warning", "talks", "here"),
        ("info", "talks", "without end"),
    ]
    assert {line.request_id for line in client.captured} == {"r-1"}


def test_output_outside_of_calls_is_left_alone(
    engine: Engine, client: CapturingClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site, other threads, and everything after the block."""
    engine.define("f")(lambda: print("inside"))
    with client:
        print("outside")
        client.call("f")
    client.call("f")
    assert capsys.readouterr().out == "outside\ninside\n"
    assert [line.text for line in client.captured] == ["inside"]


def test_without_a_sink_nothing_changes(
    engine: Engine, client: CapturingClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under another server a function prints to that server's output."""
    before = sys.stdout
    engine.define("f")(lambda: print("inside"))
    client.call("f")
    assert capsys.readouterr().out == "inside\n"
    assert sys.stdout is before


def test_a_thousand_concurrent_calls_never_mix_their_lines() -> None:
    """Pieces of lines printed in turns by many threads: each call has its own lines, whole and in order."""
    engine = Engine(max_concurrency=64)
    gate = threading.Barrier(50)

    @engine.define
    def talks(n: int) -> None:
        if n < 500:
            gate.wait(PATIENCE_S)
        for part in range(3):
            sys.stdout.write(f"{n}:")
            sys.stdout.write(f"{part}\n")

    @engine.define("async")
    async def concurrent(n: int) -> None:
        for part in range(3):
            sys.stdout.write(f"{n}:")
            await asyncio.sleep(0)
            sys.stdout.write(f"{part}\n")

    client = CapturingClient(engine)

    def session(first: int) -> None:
        for n in range(first, 1000, 50):
            headers = WITH_KEY | {"X-Request-Id": f"r{n}"}
            assert client.call("talks" if n < 900 else "async", {"n": n}, headers=headers).status == 200

    threads = [threading.Thread(target=session, args=(first,)) for first in range(50)]
    with client:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    of_calls = defaultdict(list)
    for line in client.captured:
        of_calls[line.request_id].append(line.text)
    assert of_calls == {f"r{n}": [f"{n}:{part}" for part in range(3)] for n in range(1000)}


def test_nested_calls_and_hooks(engine: Engine, client: CapturingClient) -> None:
    """A function that another one calls prints for its caller; a hook prints for itself."""
    engine.define("inner")(lambda: print("inner speaks"))
    engine.define("outer")(lambda: engine.call("inner"))
    engine.after_save("Todo")(lambda _: print("saved"))
    with client:
        client.call("outer")
        client.post("/1.1/functions/Todo/afterSave", {"object": {}}, headers=WITH_HOOK_KEY)
    assert shown(client.captured) == [("info", "outer", "inner speaks"), ("info", "__after_save_for_Todo", "saved")]


def test_an_unforeseen_error_is_logged_with_its_traceback(engine: Engine, client: CapturingClient) -> None:
    """Under the request id that the client was given; a refusal is no error."""
    engine.define("fails")(lambda: 1 / 0)
    with client:
        answer = client.call("fails").json
    assert {(line.level, line.function, line.request_id) for line in client.captured} == {
        ("error", "fails", answer["requestId"])
    }
    assert client.captured[1].text == "Traceback (most recent call last):"
    assert client.captured[-1].text == "ZeroDivisionError: division by zero"


def _fails(*_: object) -> None:
    print("about to fail")
    raise ValueError("no")


async def _fails_async(*_: object) -> None:
    await asyncio.sleep(0)
    _fails()


def _fails_again(*_: object) -> None:
    try:
        _fails()
    except ValueError as error:
        raise KeyError("again") from error


def _exits(*_: object) -> None:
    print("about to exit")
    sys.exit("no")


@pytest.mark.parametrize("function", [_fails, _fails_async, _fails_again, _exits])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("fails", "fails"),
        ("_messageReceived", "_messageReceived"),
        ("Todo/afterSave", "__after_save_for_Todo"),
        ("_User/onLogin", "__on_login__User"),
        ("onVerified/sms", "__on_verified_sms"),
    ],
)
def test_prints_and_tracebacks_stand_under_one_name(
    engine: Engine, client: CapturingClient, path: str, name: str, function: Callable[..., Any]
) -> None:
    """The name in `_ops/metadatas`; and each traceback begins at the user's own line."""
    engine.define("fails")(function)
    engine.define("_messageReceived")(function)
    engine.after_save("Todo")(function)
    engine.on_login(function)
    engine.on_verified("sms")(function)
    with client:
        answer = client.post(f"/1.1/functions/{path}", {"object": {}} if "/" in path else {}, headers=WITH_HOOK_KEY)
    assert answer.status == 500
    assert {line.function for line in client.captured} == {name}
    traced = [line.text for line in client.captured if line.level == "error"]
    begins = [traced[n + 1] for n, text in enumerate(traced) if text.startswith("Traceback")]
    assert begins
    assert all(f'File "{__file__}"' in line for line in begins)
    ours = str(Path(scheduler.__file__).parent)
    assert not any(ours in text or "asyncio/runners" in text for text in traced)


def test_a_result_that_is_no_json_is_logged_without_a_traceback(engine: Engine, client: CapturingClient) -> None:
    """The function has returned: no line of it raised the error."""
    engine.define("returns")(lambda: {1, 2})
    with client:
        answer = client.call("returns").json
    assert [line.text for line in client.captured] == [
        f"'returns' failed: {answer['error']} [request {answer['requestId']}]"
    ]


def test_an_abandoned_function_is_still_captured() -> None:
    """What it prints after its limit has its name and request id."""
    engine = Engine(function_limit_s=0.05)
    client = CapturingClient(engine)
    release = threading.Event()

    @engine.define
    def slow() -> None:
        release.wait(PATIENCE_S)
        print("late")

    with client:
        assert client.call("slow").json["code"] == 124
        release.set()
        eventually(lambda: ("info", "slow", "late") in shown(client.captured))
        eventually(lambda: any("over its limit" in line.text for line in client.captured))


def test_a_line_is_cut_and_valid(engine: Engine, client: CapturingClient) -> None:
    """4,096 characters at most, and always UTF-8."""
    engine.define("f")(lambda: print("x" * 10_000 + "\nhalf \ud800"))
    with client:
        client.call("f")
    assert [len(line.text) for line in client.captured] == [MAX_LINE_LENGTH, 6]
    client.captured[1].text.encode()


def test_the_stream_stays_a_stream(engine: Engine, client: CapturingClient) -> None:
    """Its other methods work, and bytes are refused as usual."""

    @engine.define
    def uses() -> bool:
        sys.stdout.flush()
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]
        return sys.stdout.isatty() and bool(sys.stdout.encoding)

    with client:
        assert client.call("uses").json == {"result": False}
    assert client.captured == []
