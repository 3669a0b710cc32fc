"""The commands: python -m quartzcron next "0 0 8 ? * MON" --tz Asia/Shanghai -n 5

    python -m quartzcron next "0 0 8 ? * MON" --year 2026 [--svg year.svg]
    python -m quartzcron next "0 0 17 L * ?" --calendar cn --roll preceding
    python -m quartzcron check crons.txt

A command is a function and a row in COMMANDS. Results go to stdout, as text or, with --json, as one JSON value; errors
go to stderr with a caret under the problem. Exit status: 0 for success, 1 if `check` finds an error, `diff` a
difference, a conversion has no exact result or nothing ever fires, 2 for invalid arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

from ..dialects import DIALECTS, names
from ..errors import CronError, CronSyntaxError, echoed, shortened
from ..expression import CronExpression
from ..text.describe import LANGUAGES
from ..version import version
from ..wall.rolls import CONVENTIONS
from ..zones.dst_policies import QUARTZ, VIXIE
from ..zones.lookup import local_zone, local_zone_name, named_zone
from .arguments import Parser, UsageError, count, moment, with_joined_values, year


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # Escape what the encoding of the stream lacks, such as Chinese in latin-1, instead of failing.
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(with_joined_values(sys.argv[1:] if arguments is None else arguments))
    try:
        status: int = options.run(options)
    except CronSyntaxError as error:
        print(f"quartzcron: {error}\n{error.drawing}", file=sys.stderr)
        return 2
    except (CronError, UsageError) as error:
        print(f"quartzcron: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as head, has exited
        sys.stderr.close()
        return 0
    return status


def next_fires(options: argparse.Namespace) -> int:
    """The next fire times after a moment, or a year of them as a calendar."""
    if options.calendar == "" or options.svg or options.year:
        return _print_calendar(options)
    return _print_fires(options, CronExpression.next_fire)


def previous_fires(options: argparse.Namespace) -> int:
    """The last fire times before a moment, latest first."""
    _check_named(options)
    return _print_fires(options, CronExpression.prev_fire)


def _print_fires(
    options: argparse.Namespace, step: Callable[[CronExpression, datetime | None], datetime | None]
) -> int:
    zone = _zone(options)
    expression = _expression(options, zone)
    fires: list[datetime] = []
    fire = step(expression, moment(options.moment, zone))
    while fire is not None and len(fires) < options.n:
        fires.append(fire)
        fire = step(expression, fire)
    if options.json:
        print(json.dumps([fire.isoformat() for fire in fires]))
    elif fires:
        print("\n".join(_line(fire) for fire in fires))
    else:
        why = "the expression never fires" if expression.never_fires else "there is no such fire time in 1970-2099"
        print(f"quartzcron: {why}", file=sys.stderr)
    _print_caution(expression, fires)
    return 0 if fires else 1


def _expression(options: argparse.Namespace, zone: tzinfo) -> CronExpression:
    """The expression, by the calendar of working days if one is given."""
    return _on_working_days(CronExpression(options.expression, tz=zone, dst=options.dst), options)


def _on_working_days(expression: CronExpression, options: argparse.Namespace) -> CronExpression:
    if not options.calendar:
        if options.roll:
            raise UsageError("--roll needs --calendar: cn, de-by, FILE.ics or FILE.csv")
        return expression
    from .working_days import calendar_of

    return expression.on(calendar_of(options.calendar), options.roll or "skip")


def _check_named(options: argparse.Namespace) -> None:
    """UsageError for --calendar without a name, which only `next` has."""
    if options.calendar == "":
        raise UsageError("--calendar needs a name: cn, de-by, FILE.ics or FILE.csv")


def _print_caution(expression: CronExpression, times: list[datetime]) -> None:
    if expression.known_until is not None:
        from .working_days import caution

        text = caution(expression, times)
        if text:
            print(f"quartzcron: {text}", file=sys.stderr)


def _print_calendar(options: argparse.Namespace) -> int:
    from .heatmap import Heatmap, as_svg, as_text

    zone = _zone(options)
    expression = _expression(options, zone)
    heatmap = Heatmap(expression, options.year or moment(options.moment, zone).year, zone)
    if options.svg and options.svg != "-":
        try:
            Path(options.svg).write_text(as_svg(heatmap), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {echoed(options.svg)}: {error.strerror}") from None
    elif options.svg:
        print(as_svg(heatmap), end="")
    elif options.json:
        print(json.dumps({str(day): fires for day, _, _, fires in heatmap.days() if fires}))
    else:
        print(as_text(heatmap, coloured=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    _print_caution(expression, [datetime(heatmap.year, 12, 31)])
    return 0 if any(heatmap.counts) else 1


def check(options: argparse.Namespace) -> int:
    """Whether expressions, or all those in a file, are valid, and if not, all their errors."""
    from .check import check_text, is_file

    findings: list[dict[str, Any]] = []
    for argument in options.expressions:
        try:
            if is_file(argument):
                findings += _check_file(argument, quiet=options.json)
                continue
        except OSError as error:
            reason = error.strerror or "there is no such file"
            raise UsageError(f"cannot read {echoed(argument)}: {reason[0].lower()}{reason[1:]}") from None
        findings.append(check_text(argument))
        if not options.json:
            _print_finding(findings[-1])
    if options.json:
        print(json.dumps(findings, ensure_ascii=False))
    return 0 if all(finding["valid"] for finding in findings) else 1


def _check_file(argument: str, *, quiet: bool) -> list[dict[str, Any]]:
    from .check import check_lines, in_words, lines_of, with_progress

    lines = lines_of(argument)
    findings = list(with_progress(check_lines(argument, lines), len(lines), sys.stderr))
    if not quiet:
        for finding in findings:
            if not finding["valid"] or finding["never_fires"]:
                print(in_words(finding))
        wrong = sum(not finding["valid"] for finding in findings)
        many = f"{len(findings):,} expression{'s' * (len(findings) != 1)}"
        print(f"{argument}: {many}, {f'{wrong:,}' if wrong else 'none'} wrong", file=sys.stderr)
    return findings


def _print_finding(finding: dict[str, Any]) -> None:
    text = shortened(finding["expression"])
    if finding["valid"]:
        note = ", but it never fires" if finding["never_fires"] else ""
        print(f"{text}: ok, {shortened(finding['canonical'])}{note}")
        return
    messages = "\n".join(f"  {problem['message']}" for problem in finding["problems"])
    fix = f"\n  did you mean {finding['fix']!r}?" if finding["fix"] else ""
    print(f"{text}: not a Quartz expression\n{finding['drawing']}\n{messages}{fix}", file=sys.stderr)


def explain(options: argparse.Namespace) -> int:
    """An expression in words and in normal form."""
    from .answers import explanation

    _check_named(options)
    expression = _on_working_days(CronExpression(options.expression), options)
    answer = explanation(expression, options.lang)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(f"{answer['description']}\n{answer['canonical']}")
    return 0


def convert(options: argparse.Namespace) -> int:
    """An expression in other dialects: exact, or refused with the reason."""
    from .answers import conversions

    rows = conversions(options.expression, options.dialect, [options.to] if options.to else names())
    if options.json:
        print(json.dumps(rows, ensure_ascii=False))
    elif options.to and rows[0]["text"]:
        print(rows[0]["text"])
    else:
        for row in rows:
            print(f"{row['dialect']:<12} {row['text'] or '-- ' + row['refused']}")
    return 1 if options.to and not rows[0]["text"] else 0


def diff(options: argparse.Namespace) -> int:
    """The next fire times that only one of two expressions has: - the first, + the second."""
    from .answers import difference

    zone = _zone(options)
    _check_named(options)
    one, other = (
        _on_working_days(CronExpression(text, tz=zone, dst=options.dst), options)
        for text in (options.expression, options.other)
    )
    answer = difference(one, other, moment(options.moment, zone), options.n)
    if options.json:
        only = {name: [fire.isoformat() for fire in answer[name]] for name in ("only_first", "only_second")}
        print(json.dumps({"equal": answer["equal"], **only}))
    else:
        signed = [(fire, "-") for fire in answer["only_first"]] + [(fire, "+") for fire in answer["only_second"]]
        for fire, sign in sorted(signed, key=lambda pair: pair[0].timestamp()):
            print(f"{sign} {_line(fire)}")
        if not signed:
            print("they are equal" if answer["equal"] else "the same fire times from then on, but they are not equal")
    _print_caution(one, answer["only_first"] + answer["only_second"])
    return 0 if answer["equal"] else 1


def _zone(options: argparse.Namespace) -> tzinfo:
    """The given zone, or else that of this machine; if that is unknown, a line on stderr says so."""
    if options.tz is not None:
        return named_zone(options.tz)
    tz = os.environ.get("TZ")
    if tz and not local_zone_name()[1]:
        from ..zones.zone_hints import zone_hint

        print(
            f"quartzcron: TZ is {echoed(tz)}, which names no zone, so times are in UTC; {zone_hint(tz)}",
            file=sys.stderr,
        )
    return local_zone()


def _line(fire: datetime) -> str:
    return f"{fire:%a} {fire.isoformat(sep=' ')} {fire.tzname()}"


class Command(NamedTuple):
    """A command: the function that runs it, the one that adds its arguments, and one line of help."""

    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    help: str


def _add_fire_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", help='a Quartz expression, in quotes: "0 0 8 ? * MON"')
    parser.add_argument("-n", type=count, default=5, metavar="COUNT", help="number of fire times (5)")
    parser.add_argument("--tz", metavar="ZONE", help="time zone, such as Asia/Shanghai (this machine's)")
    parser.add_argument("--from", dest="moment", metavar="TIME", help='start, such as "2026-03-08 01:30" (now)')
    parser.add_argument("--dst", choices=[VIXIE, QUARTZ], default=VIXIE, help="policy where clocks change (vixie)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_calendar_arguments(parser: argparse.ArgumentParser, *, alone: str) -> None:
    what = f"calendar of working days: a country, such as cn or de-by, FILE.ics or FILE.csv{alone}"
    parser.add_argument("--calendar", metavar="NAME", help=what)
    parser.add_argument(
        "--roll", choices=CONVENTIONS, metavar="HOW", help=f"fires on days off: {', '.join(CONVENTIONS)}"
    )


def _add_previous_arguments(parser: argparse.ArgumentParser) -> None:
    _add_fire_arguments(parser)
    _add_calendar_arguments(parser, alone="")


def _add_next_arguments(parser: argparse.ArgumentParser) -> None:
    _add_fire_arguments(parser)
    _add_calendar_arguments(parser, alone="; alone, print a year as a calendar, shaded by fires per day")
    parser.add_argument("--year", type=year, help="year to print as a calendar, 1970 to 2099 (this one)")
    parser.add_argument("--svg", metavar="FILE", help="write the year to a file as SVG, - for standard output")


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    what = "a Quartz expression in quotes, a file with one per line, or - for standard input"
    parser.add_argument("expressions", nargs="+", metavar="expression", help=what)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", help='a Quartz expression, in quotes: "0 0 8 ? * MON"')
    parser.add_argument("--lang", choices=list(LANGUAGES), default="en", help="the language (en)")
    _add_calendar_arguments(parser, alone="")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    known = ", ".join(name for name, dialect in DIALECTS.items() if dialect.read)
    parser.add_argument("expression", help='an expression, in quotes: "0 8 * * 1-5"')
    parser.add_argument("--from", dest="dialect", default="quartz", help=f"its dialect (quartz), of: {known}")
    parser.add_argument("--to", metavar="DIALECT", help="one dialect only (all)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_diff_arguments(parser: argparse.ArgumentParser) -> None:
    _add_fire_arguments(parser)
    _add_calendar_arguments(parser, alone="")
    parser.add_argument("other", help="the expression to compare with")


_OTHER_DIALECTS = ", ".join(dialect.name for name, dialect in DIALECTS.items() if name != "quartz")

COMMANDS = {
    "next": Command(next_fires, _add_next_arguments, "the next fire times, or a year of them as a calendar"),
    "prev": Command(previous_fires, _add_previous_arguments, "the last fire times"),
    "explain": Command(explain, _add_explain_arguments, "an expression in words"),
    "convert": Command(convert, _add_convert_arguments, f"to and from {_OTHER_DIALECTS}"),
    "diff": Command(diff, _add_diff_arguments, "where two expressions differ"),
    "check": Command(check, _add_check_arguments, "whether expressions are valid, and what is wrong with them"),
}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="quartzcron", description="Quartz cron expressions and their fire times.")
    parser.add_argument("--version", action="version", version=f"quartzcron {version()}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.run.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
