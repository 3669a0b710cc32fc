"""Texts as people and programs write them: wide signs, invisible characters, blanks in lists, long and Chinese names.

`plain` rewrites such a text as the parser's grammar has it; likely_fix.py checks whether the result is an expression.
"""

from __future__ import annotations

import re
from unicodedata import category, decomposition, normalize

from ..fields import MONTH_NAMES, WEEK_DAY_NAMES

# Characters that are copied together with an expression from a shell, a program, a word processor or a crontab.
QUOTES = "\"'`“”„‘’‚«»「」『』"
BRACKETS = "()[]{}<>"

_NAMES = "|".join(WEEK_DAY_NAMES + MONTH_NAMES)

_CHINESE_DAY = re.compile("(?:周|星期|礼拜|週)([日天一二三四五六])")
_CHINESE_MONTH = re.compile("(十[一二]?|[一二三四五六七八九]|\\d{1,2})月", re.ASCII)
_CHINESE_MONTHS = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")
_TYPOGRAPHY = str.maketrans({
    **dict.fromkeys("‐‑‒–—―−至到～〜", "-"),
    **dict.fromkeys("∗✱＊×⁎", "*"),
    **dict.fromkeys("∕⁄÷", "/"),
    **dict.fromkeys("、；和", ","),
})  # fmt: skip
# A sign without width between two characters may have been a blank, or nothing.
_HIDDEN_BLANK = re.compile("\\S[\u200b\ufeff\u2060]\\S")

# Digits whose place has a meaning: 1² is not 12, and ½ is not the step 1/2.
_RAISED = ("<super>", "<sub>", "<fraction>")

# Signs in the place of blanks, as in the address of a page or in a file of values separated by commas.
_SEPARATORS = (",", ";", "+", "_", "|", "%20")
_COUNTS = (5, 6, 7)

_BLANK_IN_LIST = re.compile(r"\s*,\s+|\s+,\s*")
_REWRITTEN = (
    (re.compile(r"(?<=[\w*]);\s*(?=\w)", re.ASCII), ","),
    (_BLANK_IN_LIST, ","),
    (re.compile(r"\s+-\s+"), "-"),
    (re.compile(r"\s+(?:to|through|thru|till|until)\s+", re.IGNORECASE), "-"),
    (re.compile(r"\s+(?:and|or|&)\s+", re.IGNORECASE), ","),
    (re.compile(r"(?<=\w)\.\.(?=\w)", re.ASCII), "-"),
    (re.compile(r"\b(TUE|WED|THU|SEP)(?:S|R|RS|T)\b\.?", re.IGNORECASE | re.ASCII), r"\1"),
    (re.compile(r"\b(SUN|MON|TUE|WED|THU|FRI|SAT)(?:S|NES|RS|UR)?DAYS\b", re.IGNORECASE | re.ASCII), r"\1"),
    (re.compile(r"\bWEEKDAYS?\b", re.IGNORECASE | re.ASCII), "MON-FRI"),
    (re.compile(r"\bWEEKENDS?\b", re.IGNORECASE | re.ASCII), "SAT,SUN"),
    # The last Friday in the forms of other programs; with a number, these count the days from another one.
    (re.compile(rf"\b({_NAMES})#(?:L|LAST|-1)(?=\s|$)", re.IGNORECASE | re.ASCII), r"\1L"),
    (re.compile(rf"\bL-?({_NAMES})\b", re.IGNORECASE | re.ASCII), r"\1L"),
)


def plain(text: str) -> str:
    """The text in ASCII, in the forms of the grammar.

    Without the wide forms of Chinese and Japanese keyboards (`？` for `?`, `１` for `1`), without invisible
    characters, with the dashes and stars of word processors as those of a program, with 周一 as MON and `MON, FRI` as
    `MON,FRI`.

    >>> plain("0 0 8 ？ ＊ 周一至周五"), plain("0 0 8 ? Sept Tues and Thurs"), plain("0 0 8 ? * FRI#L")
    ('0 0 8 ? * MON-FRI', '0 0 8 ? Sep Tue,Thu', '0 0 8 ? * FRIL')
    """
    if not (text.isascii() and text.isprintable()):
        text = _in_ascii(text)
    for written, meant in _REWRITTEN:
        text = written.sub(meant, text)
    return text


def _in_ascii(text: str) -> str:
    if _HIDDEN_BLANK.search(text) or any(decomposition(char).startswith(_RAISED) for char in text):
        return text
    text = _CHINESE_DAY.sub(lambda day: WEEK_DAY_NAMES["日一二三四五六".index(day[1].replace("天", "日"))], text)
    text = normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)
    text = _CHINESE_MONTH.sub(_month, text)
    return "".join(" " if char.isspace() else char for char in text if char.isspace() or category(char)[0] != "C")


def _month(found: re.Match[str]) -> str:
    number = found[1]
    return number if number.isdigit() else str(_CHINESE_MONTHS.index(number) + 1)


def separator(text: str) -> str | None:
    """The sign that separates the fields of a text instead of blanks, or beside them; None for other texts.

    >>> separator("0,0,8,*,*,?"), separator("0, 0, 8, *, *, ?"), separator("0 0 8 ? * MON,TUE")
    (',', ',', None)
    """
    bare = text[5:-1] if text[:5].lower() == "cron(" and text[-1:] == ")" else text
    words = bare.split()
    if len(words) in _COUNTS and words[0][-1] in ",;" and all(word.endswith(words[0][-1]) for word in words[:-1]):
        return words[0][-1]
    if len(words) == 1:
        return next((sign for sign in _SEPARATORS if _is_separated(bare, sign)), None)
    return None


def _is_separated(text: str, sign: str) -> bool:
    parts = text.replace("%3F", "?").replace("%2A", "*").split(sign)
    return len(parts) in _COUNTS and all(parts) and not {"*", "?"}.isdisjoint(parts)


def without_separator(text: str, sign: str) -> str:
    """The text with blanks alone between its fields."""
    if " " in text:
        return " ".join(word.removesuffix(sign) for word in text.rstrip(")").split()) + ")" * text.endswith(")")
    return text.replace(sign, " ").replace("%3F", "?").replace("%2A", "*")


def blank_in_list(text: str) -> int | None:
    """The index of the first blank beside a comma; None without one."""
    found = _BLANK_IN_LIST.search(text.rstrip(), len(text) - len(text.lstrip()))
    if found is None:
        return None
    return next(place for place in range(found.start(), found.end()) if text[place].isspace())


def without_stray_commas(text: str) -> str:
    """The text in which a comma beside a blank does not make a list of the two words.

    >>> without_stray_commas("0 0 8, * * ?")
    '0 0 8 * * ?'
    """
    return _BLANK_IN_LIST.sub(" ", text)
