"""Raw sockets against the engine behind our own server: a program, not a test.

    python tests/scheduler/engine/fuzz_wire.py --seconds 60

Twenty threads, each with up to ten connections open, send randomly mutated requests: headers invalid, doubled, huge or
missing, wrong lengths, invalid chunks, many requests at once, one byte at a time, silence, a disconnect in the middle.
Beside them a well-behaved client calls ping and a function. The exit status is 1 if that client ever waited 2 s, if any
answer was a 5xx or no HTTP, if an error of the engine or of the server was logged, if an answer or a log line held a
key, or if connections were left at the end.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[3]))

import httpx

from scheduler.engine import Engine, init
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, HOOK_KEY, MASTER_KEY, WITH_KEY
from tests.waiting import PATIENCE_S, eventually

KEYS = (APP_KEY, MASTER_KEY, HOOK_KEY)
PATHS = (
    *(
        "/1.1/functions/echo",
        "/1.1/call/echo",
        "//1/functions/echo",
        "/__engine/1/ping",
        "/1.1/functions/_ops/metadatas",
    ),
    *("/1.1/functions/Todo/beforeSave", "/1.1/functions/_User/onLogin", "/", "/%00", "/1.1/functions/%ff%0d%0a", "*"),
    *("http://[", "http://x/1.1/functions/echo", "/1.1/functions/" + "a" * 9_000, "/1.1/functions/echo?a=%s#b"),
)
METHODS = ("POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "post", "", "P\x00ST", "CONNECT")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "", "HTTX", "HTTP/1.1 ")
BODIES = (
    b"{}",
    b'{"a":1}',
    b'{"object":{}}',
    b"[" * 5_000,
    b"\xff\xfe",
    b"",
    b'{"a":"' + b"x" * 70_000 + b'"}',
    b"a=1",
)
HEADERS = (
    *("Host: x", "Connection: close", "Connection: keep-alive", "Expect: 100-continue", "Expect: nonsense"),
    *(
        "Content-Type: text/plain",
        "Content-Type: application/json",
        "X-LC-Prod: 0",
        "X-LC-Session: \xff",
        "Origin: null",
    ),
    *(
        "Origin: a\rX-Evil: 1",
        "X-Request-Id: a\nX-Evil: 1",
        "X-Request-Id: ok-1",
        "Range: bytes=0-",
        "X : y",
        ": y",
        " x",
    ),
    *("X-LC-Sign: a,b,master", "X-LC-Hook-Key: " + HOOK_KEY, "X-Timer-Name: %ff", "X-Timer-Scheduled-Time: never"),
    *("X-Big: " + "y" * 30_000, "X-Forwarded-For: ,,,", "Upgrade: websocket", "Transfer-Encoding: gzip, chunked"),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Content-Length: 5",
        "Content-Length: -1",
        "X-LC-Id:",
    ),
    *("Content-Length: 1, 1", "Content-Length: 0x5", "Content-Length: " + "9" * 5_000, "Content-Length: 99999999999"),
)


def request(draw: random.Random) -> bytes:
    """A request, valid or not."""
    body = draw.choice(BODIES)
    lines = [f"{draw.choice(METHODS)} {draw.choice(PATHS)} {draw.choice(VERSIONS)}"]
    lines += [f"{name}: {value}" for name, value in WITH_KEY.items() if draw.random() < 0.9]
    lines += draw.choices(HEADERS, k=draw.choice((0, 0, 1, 2, 5)))
    if draw.random() < 0.7:
        lines.append(f"Content-Length: {len(body)}")
    elif draw.random() < 0.5:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:3], body[3:]) if piece) + b"0\r\n\r\n"
    headers = draw.sample(lines[1:], len(lines) - 1)
    end = draw.choice(("\r\n",) * 8 + ("\n", "\r"))
    sent = (end.join([lines[0], *headers]) + end * 2).encode("latin-1", "replace") + body
    return _mutated(draw, sent)


def _mutated(draw: random.Random, sent: bytes) -> bytes:
    for _ in range(draw.choice((0, 0, 0, 1, 3))):
        at, kind = draw.randrange(len(sent) + 1), draw.randrange(4)
        piece = bytes(draw.choices(b"\r\n:\x00 ,;\xff0aZ", k=draw.choice((1, 1, 9))))
        sent = (
            sent[:at],
            sent[:at] + piece + sent[at:],
            sent[:at] + sent[at + 5 :],
            sent[:at] + piece + sent[at + 1 :],
        )[kind]
    return sent


def attack(url: str, seed: int, until: float, seen: Counter[str]) -> None:
    """Send requests until an instant; count the answers by kind."""
    draw = random.Random(seed)
    address = urlsplit(url)
    held: list[socket.socket] = []
    while time.monotonic() < until:
        client = socket.create_connection((address.hostname or "", address.port or 0), timeout=0.3)
        held.append(client)
        try:
            for _ in range(draw.choice((1, 1, 2, 20))):
                sent = request(draw)
                seen["requests"] += 1
                size = draw.choice((len(sent) or 1,) * 5 + (1, 7, 4096)) if len(sent) < 2_000 else len(sent)
                for position in range(0, len(sent), size):
                    client.sendall(sent[position : position + size])
            if draw.random() < 0.3:
                client.shutdown(socket.SHUT_WR)
            if draw.random() < 0.8:
                _count(client.recv(1 << 20), seen)
        except OSError as error:
            seen[type(error).__name__] += 1
        while len(held) > draw.randrange(1, 11):
            held.pop(draw.randrange(len(held))).close()
    for client in held:
        client.close()


def _count(answer: bytes, seen: Counter[str]) -> None:
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)
    seen.update(status.decode() for status in statuses)
    if answer and not answer.startswith(b"HTTP/1."):
        seen["no HTTP"] += 1
    if any(key.encode() in answer for key in KEYS) or b"X-Evil: 1\r\n" in answer or b"Traceback" in answer:
        seen["leak"] += 1


class Logged(logging.Handler):
    """The errors that the engine and the server log, and every line with a key."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.ERROR or any(key in text for key in KEYS):
            self.lines.append(text)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logged, seen = Logged(), Counter[str]()
    logging.getLogger().addHandler(logged)
    init(APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY)
    engine = Engine(fetch_user=lambda token: token)
    engine.define("echo")(lambda **params: len(params))
    engine.before_save("Todo")(lambda _: None)
    engine.on_login(lambda _: None)
    files = open_files() + 10  # the server's own
    longest, until = 0.0, time.monotonic() + options.seconds
    with serving(engine, threads=68) as url, httpx.Client(base_url=url, headers=WITH_KEY, timeout=PATIENCE_S) as client:
        attackers = [
            threading.Thread(target=attack, args=(url, options.seed * 1_000 + n, until, seen)) for n in range(20)
        ]
        for attacker in attackers:
            attacker.start()
        while time.monotonic() < until:
            began = time.monotonic()
            assert client.get("/__engine/1/ping").status_code == 200
            assert client.post("/1.1/functions/echo").json() == {"result": 0}
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.05)
        for attacker in attackers:
            attacker.join()
        eventually(open_files, lambda seen: seen <= files + 1)  # the well-behaved client keeps its connection
    print(dict(seen.most_common()), f"the good client waited {longest:.2f} s at most", *logged.lines[:5], sep="\n")
    bad = [name for name in seen if name in ("no HTTP", "leak") or re.fullmatch(r"50[0234]", name)]
    return int(bool(bad or logged.lines or longest >= 2))


if __name__ == "__main__":
    sys.exit(main())
