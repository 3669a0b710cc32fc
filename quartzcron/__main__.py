"""The command line: python -m quartzcron next "0 0 8 ? * MON" --tz Asia/Shanghai -n 5

    python -m quartzcron next "0 0 8 ? * MON" --year 2026 --calendar [--svg year.svg]
    python -m quartzcron check crons.txt

A command is a function and a row in COMMANDS. Results go to stdout, as text or, with --json, as one JSON value; errors
go to stderr with a caret under the problem. Exit status: 0 for success, 1 where `check` refuses something or nothing
ever fires, 2 for arguments that mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from . import CronError, CronExpression, CronSyntaxError
from .errors import echoed, shortened
from .fields import FIRST_YEAR, LAST_YEAR
from .zones.dst_policies import QUARTZ, VIXIE
from .zones.lookup import local_zone, named_zone


class UsageError(Exception):
    """An argument that means nothing; the text says why."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except CronSyntaxError as error:
        print(f"quartzcron: {error}\n{error.drawing}", file=sys.stderr)
        return 2
    except (CronError, UsageError) as error:
        print(f"quartzcron: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
        return 0
    return status


def next_fires(options: argparse.Namespace) -> int:
    """The next fire times after a moment, or a year of them as a calendar."""
    if options.calendar or options.svg or options.year:
        return _print_calendar(options)
    return _print_fires(options, CronExpression.next_fire)


def previous_fires(options: argparse.Namespace) -> int:
    """The last fire times before a moment, latest first."""
    return _print_fires(options, CronExpression.prev_fire)


def check(options: argparse.Namespace) -> int:
    """Whether expressions, or all those in a file, parse, and, if not, everything that is wrong with them."""
    from .cli.check import finding, is_file

    findings: list[dict[str, Any]] = []
    for argument in options.expressions:
        try:
            found = _check_file(argument, quiet=options.json) if is_file(argument) else [finding(argument)]
        except OSError as error:
            reason = error.strerror or "there is no such file"
            raise UsageError(f"cannot read {echoed(argument)}: {reason[0].lower()}{reason[1:]}") from None
        findings += found
        if not options.json and found and "line" not in found[0]:
            _print_finding(found[0])
    if options.json:
        print(json.dumps(findings, ensure_ascii=False))
    return 0 if all(finding["valid"] for finding in findings) else 1


def _check_file(argument: str, *, quiet: bool) -> list[dict[str, Any]]:
    from .cli.check import findings_in, in_words, lines_of, with_progress

    lines = lines_of(argument)
    findings = list(with_progress(findings_in(argument, lines), len(lines), sys.stderr))
    if not quiet:
        for found in findings:
            if not found["valid"] or found["never_fires"]:
                print(in_words(found))
        wrong = sum(not found["valid"] for found in findings)
        many = f"{len(findings):,} expression{'s' * (len(findings) != 1)}"
        print(f"{argument}: {many}, {f'{wrong:,}' if wrong else 'none'} wrong", file=sys.stderr)
    return findings


def explain(options: argparse.Namespace) -> int:
    """What an expression says, in words and in normal form."""
    from .cli.answers import explanation

    found = explanation(CronExpression(options.expression), options.lang)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(f"{found['description']}\n{found['canonical']}")
    return 0


def convert(options: argparse.Namespace) -> int:
    """An expression in other dialects: exact, or refused with the reason."""
    from .cli.answers import conversions
    from .dialects import names

    found = conversions(options.expression, options.dialect, [options.to] if options.to else names())
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    elif options.to and found[0]["text"]:
        print(found[0]["text"])
    else:
        for row in found:
            print(f"{row['dialect']:<12} {row['text'] or '-- ' + row['refused']}")
    return 1 if options.to and not found[0]["text"] else 0


def diff(options: argparse.Namespace) -> int:
    """The next fire times that only one of two expressions has: - the first, + the second."""
    from .cli.answers import difference

    zone = local_zone() if options.tz is None else named_zone(options.tz)
    one, other = (CronExpression(text, tz=zone, dst=options.dst) for text in (options.expression, options.other))
    found = difference(one, other, _moment(options.moment, zone), options.n)
    only = {name: [fire.isoformat() for fire in found[name]] for name in ("only_first", "only_second")}
    if options.json:
        print(json.dumps({"equal": found["equal"], **only}))
    else:
        signed = [(fire, "-") for fire in found["only_first"]] + [(fire, "+") for fire in found["only_second"]]
        for fire, sign in sorted(signed, key=lambda pair: pair[0].timestamp()):
            print(f"{sign} {fire:%a} {fire.isoformat(sep=' ')} {fire.tzname()}")
        if not signed:
            print("they are equal" if found["equal"] else "the same wall times from then on, but they are not equal")
    return 0 if found["equal"] else 1


class Command(NamedTuple):
    """A command: what runs it, what it takes, and one line of help."""

    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    help: str


def _add_fire_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", help='a Quartz expression, in quotes: "0 0 8 ? * MON"')
    parser.add_argument("-n", type=_count, default=5, metavar="COUNT", help="how many (5)")
    parser.add_argument("--tz", metavar="ZONE", help="time zone, such as Asia/Shanghai (this machine's)")
    parser.add_argument("--from", dest="moment", metavar="TIME", help='a moment, such as "2026-03-08 01:30" (now)')
    parser.add_argument("--dst", choices=[VIXIE, QUARTZ], default=VIXIE, help="policy where clocks change (vixie)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_next_arguments(parser: argparse.ArgumentParser) -> None:
    _add_fire_arguments(parser)
    parser.add_argument(
        "--calendar", action="store_true", help="draw a year as a calendar, the more ink the more fires"
    )
    parser.add_argument("--year", type=_year, help="the year of the calendar, 1970 to 2099 (this one)")
    parser.add_argument("--svg", metavar="FILE", help="write the calendar to a file as SVG, - for standard output")


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    what = "a Quartz expression in quotes, a file with one a line, or - for standard input"
    parser.add_argument("expressions", nargs="+", metavar="expression", help=what)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", help='a Quartz expression, in quotes: "0 0 8 ? * MON"')
    parser.add_argument("--lang", choices=["en", "zh"], default="en", help="in English or in Chinese (en)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", help='an expression, in quotes: "0 8 * * 1-5"')
    parser.add_argument("--from", dest="dialect", default="quartz", help="its dialect (quartz), such as crontab")
    parser.add_argument("--to", metavar="DIALECT", help="one dialect only, such as eventbridge (all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_diff_arguments(parser: argparse.ArgumentParser) -> None:
    _add_fire_arguments(parser)
    parser.add_argument("other", help="the expression to compare with")


COMMANDS = {
    "next": Command(next_fires, _add_next_arguments, "the next fire times, or a year of them as a calendar"),
    "prev": Command(previous_fires, _add_fire_arguments, "the last fire times"),
    "explain": Command(explain, _add_explain_arguments, "what an expression says, in words"),
    "convert": Command(convert, _add_convert_arguments, "to and from crontab, Spring, EventBridge, OnCalendar, RRULE"),
    "diff": Command(diff, _add_diff_arguments, "where two expressions differ"),
    "check": Command(check, _add_check_arguments, "whether expressions parse, and what is wrong with them"),
}


class _Parser(argparse.ArgumentParser):
    """argparse's, with messages that fit on a line, and a word to those who forget the quotes."""

    def error(self, message: str) -> NoReturn:
        hint = "" if "unrecognized arguments: -" in message else "; an expression stands in quotes, as one argument"
        super().error(shortened(message) + hint * ("unrecognized arguments" in message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="quartzcron", description="Quartz cron expressions and their fire times.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.run.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{echoed(text)} is no number from 1 to 999999")
    return int(text)


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and FIRST_YEAR <= int(text[:5]) <= LAST_YEAR):
        raise argparse.ArgumentTypeError(f"{echoed(text)} is no year from {FIRST_YEAR} to {LAST_YEAR}")
    return int(text)


def _print_calendar(options: argparse.Namespace) -> int:
    from .cli.heatmap import Heatmap, as_svg, as_text

    zone = local_zone() if options.tz is None else named_zone(options.tz)
    expression = CronExpression(options.expression, tz=zone, dst=options.dst)
    heatmap = Heatmap(expression, options.year or _moment(options.moment, zone).year, zone)
    if options.svg and options.svg != "-":
        try:
            Path(options.svg).write_text(as_svg(heatmap), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {echoed(options.svg)}: {error.strerror}") from None
    elif options.svg:
        print(as_svg(heatmap), end="")
    elif options.json:
        print(json.dumps({str(day): count for day, _, _, count in heatmap.days() if count}))
    else:
        print(as_text(heatmap, coloured=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return 0 if any(heatmap.counts) else 1


def _print_fires(
    options: argparse.Namespace, step: Callable[[CronExpression, datetime | None], datetime | None]
) -> int:
    zone = local_zone() if options.tz is None else named_zone(options.tz)
    expression = CronExpression(options.expression, tz=zone, dst=options.dst)
    fires: list[datetime] = []
    fire = step(expression, _moment(options.moment, zone))
    while fire is not None and len(fires) < options.n:
        fires.append(fire)
        fire = step(expression, fire)
    if options.json:
        print(json.dumps([fire.isoformat() for fire in fires]))
    elif fires:
        print("\n".join(f"{fire:%a} {fire.isoformat(sep=' ')} {fire.tzname()}" for fire in fires))
    else:
        why = "the expression never fires" if expression.never_fires else "there is no such fire time in 1970-2099"
        print(f"quartzcron: {why}", file=sys.stderr)
    return 0 if fires else 1


def _moment(text: str | None, zone: tzinfo) -> datetime:
    """A time as people write it; without an offset it is wall time in the zone."""
    now = datetime.now(zone)
    if text is None:
        return now
    from dateutil import parser

    words = {"now": now, "today": _midnight(now), "tomorrow": _midnight(now) + timedelta(days=1)}
    words["yesterday"] = _midnight(now) - timedelta(days=1)
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # dateutil only warns of a zone abbreviation that it does not know
            found = parser.parse(text, default=_midnight(now).replace(tzinfo=None))
        return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)
    except (ValueError, OverflowError, TypeError, Warning):
        raise UsageError(f'cannot read {echoed(text)} as a time; write it as "2026-03-08 01:30"') from None


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _print_finding(finding: dict[str, Any]) -> None:
    if finding["valid"]:
        note = ", but it never fires" if finding["never_fires"] else ""
        print(f"{shortened(finding['expression'])}: ok, {shortened(finding['canonical'])}{note}")
        return
    messages = "\n".join(f"  {problem['message']}" for problem in finding["problems"])
    fix = f"\n  did you mean {finding['fix']!r}?" if finding["fix"] else ""
    text = shortened(finding["expression"])
    print(f"{text}: no Quartz expression\n{finding['drawing']}\n{messages}{fix}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
