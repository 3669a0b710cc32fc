"""Cookies: the id of a token, signed with the token's digest, so that a session ends with its token."""

from __future__ import annotations

import hashlib
from datetime import datetime

from flask import Request, Response
from itsdangerous import BadSignature, TimestampSigner

from .tokens import SESSION_LASTS, Token, TokenTable

_SALT = "scheduler console session"
_MAX_LENGTH = 200


def cookie_name(store: str) -> str:
    """The name of the cookie, different for each store, because all ports of a host share their cookies."""
    return f"scheduler-{hashlib.sha256(store.encode()).hexdigest()[:8]}"


def begin(answer: Response, request: Request, token: Token, name: str) -> None:
    """Set the cookie of a session.

    It has no Path, so it gets that of the sign-in page, with the prefix of a proxy. SameSite is Lax, because with
    Strict, users who follow a link from elsewhere would have to sign in again.
    """
    answer.set_cookie(
        name,
        _signer(token).sign(str(token.id)).decode(),
        max_age=SESSION_LASTS,
        path=None,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )


def end(answer: Response, name: str) -> None:
    """Remove the cookie."""
    answer.delete_cookie(name, path=None)


def token_of(cookie: str | None, tokens: TokenTable, *, now: datetime) -> Token | None:
    """The token of a cookie; None if the cookie or its token has expired or was removed."""
    if not cookie or len(cookie) > _MAX_LENGTH:
        return None
    text, _, _ = cookie.partition(".")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    token = tokens.get(int(text), now=now)
    if token is None:
        return None
    try:
        _signer(token).unsign(cookie, max_age=int(SESSION_LASTS.total_seconds()))
    except BadSignature:
        return None
    return token


def _signer(token: Token) -> TimestampSigner:
    return TimestampSigner(token.digest, salt=_SALT, digest_method=hashlib.sha256)
