"""Alerts: their causes, the rules that select them, and which causes count as one incident. Pure."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ..errors import ConfigError, shown
from .addresses import without_password


class Cause(StrEnum):
    """Why there is an alert."""

    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ABANDONED = "abandoned"
    SHORT_CIRCUITED = "short_circuited"
    #: A run of a timer has succeeded for which there was an alert of one of the causes above.
    RECOVERED = "recovered"
    #: A run has begun late, or a fire time was missed.
    LATE = "late"
    FINISHED = "finished"
    PAUSED_ON_FAILURE = "paused_on_failure"
    #: A calendar that timers use is known for a few weeks only.
    CALENDAR_ENDS = "calendar_ends"
    #: A daemon has ended without stopping.
    NO_DAEMON = "no_daemon"


#: After one of these, further ones of the same timer are counted until a run has succeeded.
TROUBLES = frozenset({Cause.FAILED, Cause.TIMED_OUT, Cause.ABANDONED, Cause.SHORT_CIRCUITED})
#: The causes of a rule that names none.
DEFAULT_CAUSES = TROUBLES | {Cause.RECOVERED, Cause.PAUSED_ON_FAILURE, Cause.NO_DAEMON}
#: Causes that are not about a timer, so that a rule cannot narrow them.
OF_NO_TIMER = frozenset({Cause.CALENDAR_ENDS, Cause.NO_DAEMON})
#: Causes that are counted in the alert before them instead of making another one.
_COUNTED = TROUBLES | {Cause.LATE, Cause.CALENDAR_ENDS}
_TROUBLE = "trouble"

MAX_MESSAGE_LENGTH = 1_000
MAX_RULES, MAX_ADDRESSES, MAX_ADDRESS_LENGTH, MAX_NAME_LENGTH = 50, 50, 2_000, 100
#: The key of a Standard Webhook, in bytes.
SECRET_PREFIX, MIN_SECRET_BYTES, MAX_SECRET_BYTES = "whsec_", 24, 64


class AlertEvent(NamedTuple):
    """A cause that has come true: of a timer in an environment, or of a calendar or a daemon.

    `late_s` is the lateness of a late run. `times` is how often it has happened, for fire times of one row.
    """

    cause: Cause
    at: datetime
    subject: str
    environment: str = ""
    run_id: int | None = None
    message: str = ""
    times: int = 1
    late_s: float = math.inf

    @property
    def incident(self) -> str:
        """The kind of the incident: all troubles of a timer are one, which ends when it has recovered."""
        return _TROUBLE if self.cause in TROUBLES or self.cause is Cause.RECOVERED else self.cause.value

    @property
    def is_counted(self) -> bool:
        """Whether further events of its incident are counted in its alert."""
        return self.cause in _COUNTED


#: The kind of the incident that ends when a timer has recovered.
TROUBLE = _TROUBLE


def in_rounds(events: Iterable[AlertEvent]) -> list[list[AlertEvent]]:
    """Events in rounds, to be written one after the other; a round has one event of each incident and subject.

    Consecutive troubles of a timer are one event with their count; a recovery between two of them separates them.
    """
    rounds: list[list[AlertEvent]] = []
    places: dict[tuple[str, str, str], tuple[int, int]] = {}
    for event in events:
        key = event.incident, event.environment, event.subject
        latest, index = places.get(key, (-1, -1))
        if latest >= 0 and event.is_counted and (before := rounds[latest][index]).is_counted:
            rounds[latest][index] = _merged(before, event)
            continue
        if latest + 1 == len(rounds):
            rounds.append([])
        places[key] = latest + 1, len(rounds[latest + 1])
        rounds[latest + 1].append(event)
    return rounds


def _merged(before: AlertEvent, after: AlertEvent) -> AlertEvent:
    """Two events of an incident as one: the first cause and instant, the latest run with its message."""
    told = before if after.run_id is None else after
    late_s = max(before.late_s, after.late_s)
    return before._replace(times=before.times + after.times, run_id=told.run_id, message=told.message, late_s=late_s)


# Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """A rule of alerts: for each cause in `on`, an alert is sent to the addresses `to` or to the `webhook`.

    `timers` are patterns of names as in `report-*`, `tags` and `environment` narrow the timers further; causes that are
    not about a timer are not narrowed. A run is late if it begins more than `late_s` after its fire time. `to` are
    addresses as the package apprise reads them. `secret` is the key with which deliveries to the webhook are signed, by
    the specification Standard Webhooks. The webhook may lead to a private address only with `allow_private`.

    Raises ConfigError, whose message names the field that is wrong.
    """

    name: str
    on: frozenset[Cause] = DEFAULT_CAUSES
    timers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    environment: str | None = None
    late_s: float = 5.0
    to: tuple[str, ...] = field(default=(), repr=False)
    webhook: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    allow_private: bool = False

    if TYPE_CHECKING:  # for type checkers: besides the values, what is converted below

        def __init__(
            self,
            *,
            name: str,
            on: Iterable[Cause | str] = ...,
            timers: Iterable[str] = ...,
            tags: Iterable[str] = ...,
            environment: str | None = ...,
            late_s: float = ...,
            to: Iterable[str] = ...,
            webhook: str | None = ...,
            secret: str | None = ...,
            allow_private: bool = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        _check_name(self.name)
        object.__setattr__(self, "on", _causes(self.on))
        for name in ("timers", "tags", "to"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        if self.environment not in (None, "production", "stage"):
            raise ConfigError(f"environment = {self.environment!r:.80}: expected production or stage")
        is_number = isinstance(self.late_s, int | float) and not isinstance(self.late_s, bool)
        if not is_number or not 0 < self.late_s <= 31_536_000:
            raise ConfigError(f"late_s = {self.late_s!r:.80}: expected a number of seconds, more than 0")
        object.__setattr__(self, "late_s", float(self.late_s))
        if not isinstance(self.allow_private, bool):
            raise ConfigError(f"allow_private = {self.allow_private!r:.80}: expected true or false")
        self._check_target()

    def _check_target(self) -> None:
        if bool(self.to) == (self.webhook is not None):
            both = "both to and webhook are given" if self.to else "neither to nor webhook is given"
            raise ConfigError(f'{both}: give one, to = ["mailto://…"] or webhook = "https://…"')
        if self.webhook is None:
            if self.secret is not None or self.allow_private:
                what = "secret" if self.secret is not None else "allow_private"
                raise ConfigError(f"{what} is for a webhook only, and this alert has none")
            for number, address in enumerate(self.to, start=1):
                check_apprise_address(number, address)
        else:
            check_url("webhook", self.webhook)
            secret_key(self.secret)

    def selects(self, event: AlertEvent, tags: Collection[str]) -> bool:
        """Whether an alert is sent for this event; `tags` are those of its timer."""
        if event.cause not in self.on or (event.cause is Cause.LATE and event.late_s <= self.late_s):
            return False
        if event.cause in OF_NO_TIMER:
            return True
        if self.environment is not None and event.environment != self.environment:
            return False
        if self.tags and not set(self.tags) & set(tags):
            return False
        return not self.timers or any(fnmatchcase(event.subject, pattern) for pattern in self.timers)

    @property
    def shown_target(self) -> str:
        """The target without passwords and tokens, which may be anywhere in an address."""
        if self.webhook is None:
            return ", ".join(f"{address.partition('://')[0]}://…" for address in self.to)
        parts = urlsplit(self.webhook)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}/…"

    def as_values(self) -> dict[str, object]:
        """The rule as JSON values, with its secrets: for a process that delivers."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "on": sorted(self.on)}

    def without_target(self) -> AlertRule:
        """The rule for a process that writes alerts and delivers none."""
        return replace(self, to=(), webhook="https://withheld.invalid", secret=_WITHHELD, allow_private=False)


_WITHHELD = SECRET_PREFIX + base64.b64encode(bytes(MIN_SECRET_BYTES)).decode()


class AlertRules:
    """The rules of a store, all causes that they select, and how many alerts this process has written."""

    __slots__ = ("causes", "late_s", "rules", "written")

    def __init__(self, rules: Iterable[AlertRule] = ()) -> None:
        self.rules = tuple(rules)
        self.causes: frozenset[Cause] = frozenset().union(*(rule.on for rule in self.rules))
        #: The least lateness that any of them counts as late.
        self.late_s = min((rule.late_s for rule in self.rules if Cause.LATE in rule.on), default=math.inf)
        #: Also counts those whose transaction was rolled back.
        self.written = 0
        check_rules(self.rules)

    def by_name(self) -> Mapping[str, AlertRule]:
        """The rules by their names."""
        return {rule.name: rule for rule in self.rules}


def check_rules(rules: Collection[AlertRule]) -> None:
    """ConfigError for too many rules, and for two of one name."""
    if len(rules) > MAX_RULES:
        raise ConfigError(f"there are {len(rules)} alerts; at most {MAX_RULES} are allowed")
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"two alerts have the name {twice[0]!r}; give each its own")


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise ConfigError(f"name = {name!r:.80}: expected text of at most {MAX_NAME_LENGTH} characters")


def _causes(given: object) -> frozenset[Cause]:
    words = _texts("on", given)
    if unknown := [word for word in words if word not in list(Cause)]:
        raise ConfigError(f"on = {unknown[0]!r:.80}: expected some of {', '.join(Cause)}")
    causes = frozenset(map(Cause, words))
    if not causes:
        raise ConfigError(f"on is empty: expected some of {', '.join(Cause)}")
    if Cause.RECOVERED in causes and not causes & TROUBLES:
        raise ConfigError(f"on has recovered, but nothing to recover from: add some of {', '.join(sorted(TROUBLES))}")
    return causes


def _texts(name: str, given: object) -> tuple[str, ...]:
    """Texts of a list; also one text alone."""
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list | tuple | set | frozenset) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{name}: expected a list of texts")
    if len(words) > MAX_ADDRESSES:
        raise ConfigError(f"{name} has {len(words)} entries; at most {MAX_ADDRESSES} are allowed")
    if any(not word.strip() or not word.isprintable() or len(word) > MAX_ADDRESS_LENGTH for word in words):
        raise ConfigError(f"{name} has an entry that is blank, too long, or has control characters")
    return tuple(words)


def check_apprise_address(number: int, address: str) -> None:
    """ConfigError for what cannot be an address of apprise; only apprise itself has the list of all kinds."""
    scheme, separator, rest = address.partition("://")
    if not separator or not scheme.strip() or not rest:
        # It may be a password, so it is not shown.
        raise ConfigError(f"to: entry {number} is no address; expected one as in mailto://user:password@example.com")


def check_url(name: str, url: object) -> str:
    """The address of a web server; ConfigError, which shows no password, if it is none."""
    given = repr(without_password(url)[:80]) if isinstance(url, str) else shown(url)
    try:
        parts = urlsplit(url) if isinstance(url, str) and url.isprintable() and " " not in url else None
        is_sound = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or not isinstance(url, str) or len(url) > MAX_ADDRESS_LENGTH:
        raise ConfigError(f"{name} = {given}: expected an address of at most 2,000 characters, as in https://…")
    if "@" in urlsplit(url).netloc:
        raise ConfigError(f"{name} has a user or a password in front of its host, which would not be sent")
    return url


def secret_key(secret: object) -> bytes:
    """The key of a Standard Webhook: base64 of 24 to 64 bytes, behind `whsec_`; ConfigError if it is none."""
    advice = f"secret: expected {SECRET_PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes; "
    advice += f'make one with: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
    if not isinstance(secret, str) or not secret:
        raise ConfigError(f"a webhook needs a secret, with which its deliveries are signed. {advice}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(advice) from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ConfigError(advice)
    return key
