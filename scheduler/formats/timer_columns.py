"""The columns of a list of timers: a timer's attributes, and the options of trigger kinds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from ..core.attributes import ATTRIBUTES
from ..core.options import Option
from ..core.timer import Timer
from ..core.trigger_kinds import TRIGGERS, plugin_faults, trigger_columns, trigger_kinds
from ..core.triggers import Trigger

#: The columns of version 0.1.0, in its order; further ones follow in the order of their tables.
_FIRST = (
    *("name", "function", "cron", "seconds", "environment", "enabled", "tz", "dst"),
    *("params", "limit_s", "misfire", "overlap", "delivery", "breaker"),
)


#: Headings in Chinese, as people write them who move from LeanCloud's console.
_CHINESE = {
    "name": "名称 名字 任务名称 定时任务",
    "function": "函数 云函数 函数名 云函数名称",
    "cron": "cron表达式 表达式 执行计划",
    "seconds": "秒 秒数 间隔秒数",
    "environment": "环境 部署环境 执行环境",
    "enabled": "启用 是否启用 状态",
    "tz": "时区",
    "params": "参数",
    "limit_s": "限时 超时",
    "description": "说明 备注 描述",
    "tags": "标签",
}


class Columns:
    """The columns of a list: the attributes, and the options of these trigger kinds."""

    def __init__(self, kinds: Sequence[type[Trigger]]) -> None:
        self.kinds = kinds
        self.of_triggers = trigger_columns(list(TRIGGERS.values()))
        self.of_triggers += [option for option in trigger_columns(kinds) if option not in self.of_triggers]
        options = {option.column: option for option in (*ATTRIBUTES, *self.of_triggers)}
        self.options: dict[str, Option] = {column: options[column] for column in dict.fromkeys((*_FIRST, *options))}
        #: Other accepted names of columns: from `timers list --json`, from the options, and plain English.
        self.synonyms = {synonym: column for column, option in self.options.items() for synonym in option.synonyms}
        self.synonyms |= {name: column for column, names in _CHINESE.items() for name in names.split()}
        #: The columns that an error may be of, by the `field` of a TimerError.
        self.of_fields: dict[str, list[str]] = {attribute.name: [attribute.column] for attribute in ATTRIBUTES}
        for option in self.of_triggers:
            for name in {option.field, option.name}:
                self.of_fields.setdefault(name, []).append(option.column)

    def column(self, name: str) -> str:
        """The column that a heading or a key means, whether it exists or not."""
        name = name.strip(" \t\ufeff").lower()
        return self.synonyms.get(name) or self.synonyms.get(name.replace(" ", ""), name)

    def unknown(self, name: str) -> str | None:
        """The error for an unknown heading or key; None if there is such a column."""
        if self.column(name) in self.options:
            return None
        close = difflib.get_close_matches(self.column(name), (*self.options, *self.synonyms), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"columns are {', '.join(self.options)}"
        return "; ".join([f"there is no column {name.strip()[:80]!r}", hint, *plugin_faults()])

    @classmethod
    def of_names(cls, names: Iterable[str]) -> Columns:
        """The columns of a list with these headings or keys; searches packages only for unknown names."""
        return BUILT_IN if not any(map(BUILT_IN.unknown, names)) else cls(trigger_kinds())

    @classmethod
    def of_timers(cls, timers: Iterable[Timer]) -> Columns:
        """The columns of a list of these timers: the built-in kinds, and other kinds among them."""
        kinds = {type(timer.trigger): None for timer in timers if timer.trigger.options}
        return cls(list(dict.fromkeys((*TRIGGERS.values(), *kinds))))


BUILT_IN = Columns(list(TRIGGERS.values()))
COLUMNS = tuple(BUILT_IN.options)
