"""The stream of the topics that change, as server-sent events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from flask import Response, request

from ...errors import StoreError
from .. import sessions
from ..current import Console, console
from ..live import TooManyStreamsError, TopicSubscription
from ..proxies import USER
from ..reader import reader

#: How often a comment is sent on an idle stream, so that the server notices a reader who has left.
_HEARTBEAT_S = 15.0
#: How often a stream checks whether its client has disconnected, where the server can tell.
_GONE_EVERY_S = 1.0
#: The key of this check in the environment of a request.
_IS_GONE = "waitress.client_disconnected"
#: How often the token of a stream is checked.
_CHECK_EVERY_S = 60.0
_RETRY_AFTER_S = 30


def show() -> Response:
    """A stream; 503 if there are too many."""
    here, is_gone = console(), request.environ.get(_IS_GONE, lambda: False)
    token = reader().token
    # Until the answer is closed, so that every stream counts from its first byte on.
    with ExitStack() as stack:
        try:
            subscription = stack.enter_context(
                here.live.subscribed(f"{token.id} {token.name}" if token else "", is_gone)
            )
        except TooManyStreamsError:
            return Response(status=503, headers={"Retry-After": str(_RETRY_AFTER_S)})
        cookie = request.cookies.get(here.cookie)
        checks = USER not in request.environ
        answer = Response(_events(here, subscription, cookie, checks=checks), mimetype="text/event-stream")
        answer.call_on_close(stack.pop_all().close)
    # Proxies such as nginx would keep the events back.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _events(here: Console, subscription: TopicSubscription, cookie: str | None, *, checks: bool) -> Iterator[bytes]:
    yield b"retry: 3000\ndata: connected\n\n"
    checked_at = time.monotonic()
    while (topics := _wait(subscription)) is not None:
        yield f"data: {' '.join(sorted(topics)) or 'tick'}\n\n".encode()
        if checks and time.monotonic() - checked_at > _CHECK_EVERY_S:
            checked_at = time.monotonic()
            if not _is_signed_in(here, cookie):
                return


def _wait(subscription: TopicSubscription) -> set[str] | None:
    """The topics that have changed, none at the next heartbeat; None at the end, and when the client is gone."""
    ends_at = time.monotonic() + _HEARTBEAT_S
    while (left_s := ends_at - time.monotonic()) > 0:
        topics = subscription.wait(min(left_s, _GONE_EVERY_S))
        if topics is None or subscription.is_gone():
            return None
        if topics:
            return topics
    return set()


def _is_signed_in(here: Console, cookie: str | None) -> bool:
    try:
        return sessions.token_of(cookie, here.tokens, now=here.now()) is not None
    except StoreError:
        return True  # the pages that it asks for are refused
