"""The texts of the console by key, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .words_en import WORDS as ENGLISH
from .words_zh import WORDS as CHINESE

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}
#: Each language in itself, and its tag for HTML.
NAMES = {"en": "English", "zh": "简体中文"}
TAGS = {"en": "en", "zh": "zh-CN"}


def text(language: str, key: str, /, **values: Any) -> str:
    """The text of a key with its values; if `n` is 1 and there is a singular key, the text of that."""
    words = LANGUAGES[language]
    if values.get("n") == 1 and f"{key}.one" in words:
        key = f"{key}.one"
    found = words[key]
    return found.format(**values) if values else found


def text_or(language: str, key: str, default: str) -> str:
    """The text of a key, or a default if there is none, as for additions of other packages."""
    return LANGUAGES[language].get(key, default)
