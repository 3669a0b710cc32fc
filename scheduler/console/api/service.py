"""The handlers of the service as a whole: functions, daemons, statistics, settings, changes, checks, pauses, tokens."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from flask import Response

from ...doctor.findings import Severity
from ...errors import ConfigError
from ...formats.display import iso
from ...formats.json import alert_json, change_json
from ...formats.pause_text import pause_json
from ...store.alert_queue import AlertQueue
from ...store.catalogue import read_function
from ...store.change_pages import ChangeFilter, ChangeHistory
from ...store.pause_table import PauseTable
from ...store.statistics import read_statistics
from ..checkup import findings
from ..current import console
from ..engine_calls import CallRefusedError
from ..engine_calls import call as call_engine
from ..pages.changes import WITH_PARAMS
from ..pages.functions import listed_functions
from ..pages.settings import setting_rows
from ..reader import reader
from .context import answer, author, default_zone, instant_of, listed, number_of, past_instant_of
from .problems import ProblemError
from .requests import CallBody, ChangesQuery, FunctionPath, NamePath, PageQuery, PauseBody, ResumeBody, TokenBody


def functions() -> Response:
    """The functions that were loaded or that timers call, with the number of timers, in production first."""
    found: dict[str, dict[str, Any]] = {}
    for function in listed_functions():
        about = function.description
        described = {name: getattr(about, name, None) for name in ("signature", "doc", "place")}
        if about and not reader().sees("params"):
            described["signature"] = None
        entry = found.setdefault(function.name, {"name": function.name, "environments": [], "timers": 0, **described})
        entry["environments"].append(function.environment)
        entry["timers"] += function.timers
        if entry["place"] is None:
            entry |= described
    return listed(list(found.values()), None)


def call(path: FunctionPath, body: CallBody) -> Response:
    """Call a function that a process has loaded, through its engine, and wait for its answer, 17 s at most."""
    if read_function(console().store, path.environment, path.name) is None:
        raise ProblemError("unknown", f"no process has loaded a function {path.name!r}", field="name")
    try:
        made = call_engine(console(), path.name, path.environment, body.params, by=author(body.why))
    except CallRefusedError as error:
        raise ProblemError("conflict", str(error)) from None
    shown = {name: getattr(made, name) for name in ("error", "request_id", "took_s")}
    result = made.result if made.result is None or made.is_cut else json.loads(made.result)
    return answer({"succeeded": made.error is None, "result": result, **shown})


def instances() -> Response:
    """The daemons of the store."""
    now, tz = console().now(), default_zone()
    daemons = read_statistics(console().store, now).daemons
    return listed(
        [
            {
                "host": daemon.host,
                "pid": daemon.pid,
                "started_at": iso(daemon.started_at, tz),
                "lease_until": iso(daemon.lease_until, tz),
                "is_alive": daemon.lives(now),
            }
            for daemon in daemons
        ],
        None,
    )


def statistics() -> Response:
    """Counts of timers, breakers and daemons."""
    now = console().now()
    seen = read_statistics(console().store, now)
    by_environment: dict[str, dict[str, int]] = {}
    for (environment, enabled), count in seen.timers.items():
        by_environment.setdefault(environment, {"enabled": 0, "disabled": 0})["enabled" if enabled else "disabled"] = (
            count
        )
    shown = {
        "timers": by_environment,
        "breakers": {state.value: count for state, count in seen.breakers.items()},
        "troubled": [
            {
                "name": timer.name,
                "environment": timer.environment,
                "state": timer.state,
                "failures": timer.failures,
                "last_error": timer.last_error,
            }
            for timer in seen.troubled
        ],
        "overdue": seen.overdue,
        "finished": seen.finished,
        "paused": seen.held,
        "due_since": iso(seen.due_since, default_zone()),
        "daemons_alive": len(seen.live_daemons(now)),
    }
    return answer(shown)


def settings() -> Response:
    """Every setting with its origin."""
    return listed([{"name": name, "value": value, "origin": origin} for name, value, origin in setting_rows()], None)


def changes(query: ChangesQuery) -> Response:
    """A page of changes, the latest first."""
    wanted = ChangeFilter(
        name=query.name,
        environment=query.environment,
        author=query.author,
        way=query.way,
        subject=query.subject,
        since=past_instant_of(query.since, "since"),
        until=past_instant_of(query.until, "until"),
    )
    page = ChangeHistory(console().store).page(wanted, before=number_of(query.cursor), limit=query.limit)
    tz = default_zone()
    items = []
    for record in page.items:
        shown = change_json(record, tz)
        if record.subject in WITH_PARAMS and not reader().sees("params"):
            shown |= {"before": None, "after": None}
        items.append(shown)
    return listed(items, None if page.next is None else str(page.next), page.looked_back_to)


def checkup() -> Response:
    """The checks of `scheduler doctor` that need no code of the user: machine, clocks and store."""
    items = [
        {
            "name": finding.name,
            "ok": finding.severity is not Severity.ERROR,
            "state": finding.severity,
            "text": finding.text,
        }
        for finding in findings()
    ]
    return listed(items, None)


def alerts(query: PageQuery) -> Response:
    """A page of alerts, the latest first, with how their delivery went."""
    found = AlertQueue(console().store).list(query.limit + 1, before=number_of(query.cursor))
    tz = default_zone()
    following = str(found[query.limit - 1].id) if len(found) > query.limit else None
    return listed([alert_json(alert, tz) for alert in found[: query.limit]], following)


# Pauses


def pauses() -> Response:
    """The pauses in force."""
    tz = default_zone()
    found = [pause for pause in PauseTable(console().store).list() if pause.timer_id is None]
    return listed([pause_json(pause, tz) for pause in found], None)


def pause(body: PauseBody) -> Response:
    """Hold all timers, or those of an environment or with a tag: no daemon claims them."""
    made = PauseTable(console().store).pause(
        body.environment,
        body.tag,
        now=console().now(),
        until=instant_of(body.until, "until"),
        by=author(body.why),
    )
    return answer(pause_json(made, default_zone()))


def resume(body: ResumeBody) -> Response:
    """End the pause of an environment, a tag or both; with neither, all of them."""
    ended = PauseTable(console().store).resume(
        body.environment, body.tag, now=console().now(), skip=body.skip, by=author(body.why)
    )
    tz = default_zone()
    return listed([pause_json(pause, tz) for pause in ended], None)


# Tokens


def tokens() -> Response:
    """The tokens, sessions and links of the console; never their secrets."""
    tz = default_zone()
    return listed(
        [
            {
                "name": token.name,
                "kind": token.kind,
                "role": token.role.name.lower(),
                "created_at": iso(token.created_at, tz),
                "expires_at": iso(token.expires_at, tz),
            }
            for token in console().tokens.list(now=console().now())
        ],
        None,
    )


def add_token(body: TokenBody) -> Response:
    """Make a token; its text is in this answer only."""
    lasts = None if body.days is None else timedelta(days=body.days)
    try:
        secret = console().tokens.add(body.name, body.role, now=console().now(), lasts=lasts, by=author())
    except ConfigError as error:
        raise ProblemError("taken" if "already" in str(error) else "invalid", str(error), field="name") from None
    return answer({"name": body.name, "role": body.role, "token": secret}, 201)


def remove_token(path: NamePath) -> Response:
    """Remove the tokens, sessions and links of a name."""
    if not console().tokens.remove(path.name, now=console().now(), by=author()):
        raise ProblemError("unknown", f"there is no token {path.name!r}", field="name")
    return Response(status=204)
