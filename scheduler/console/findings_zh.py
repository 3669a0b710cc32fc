"""Findings of the check-up in Chinese: a table from English clauses, with their values in braces.

A value in `{+}` is a clause itself. A clause without a row stays as it is: a name, a path, what a function said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: The names of the checks.
CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "versions": "版本",
        "clock": "时钟",
        "zones": "时区数据库",
        "store": "数据库",
        "server clock": "数据库时钟",
        "notifications": "通知",
        "daemons": "守护进程",
        "timers": "定时任务",
        "pauses": "暂停",
        "calendars": "日历",
        "runs": "执行",
        "breakers": "熔断器",
    }
)

#: Clauses, which a finding separates by semicolons.
CLAUSES: tuple[tuple[str, str], ...] = (
    ("Python {} at {}", "Python {}，位于 {}"),
    (
        "{} has files in the same package 'scheduler', so one of both does not work",
        "{} 也有包 scheduler 的文件，所以两者之一无法工作",
    ),
    ("the package 'scheduler' is that of {}, not that of {}", "包 scheduler 是 {} 的，不是 {} 的"),
    ("the package 'scheduler' has lost its __init__.py, not that of {}", "{} 的包 scheduler 缺少 __init__.py"),
    ("pip uninstall {}, then {+}", "pip uninstall {}，然后 {}"),
    # Clocks
    ("wall and monotonic clock agree to {} ms", "系统时钟与单调时钟相差不超过 {} 毫秒"),
    ("the machine was suspended for {} since it started", "机器启动以来休眠过 {}"),
    ("{+}: the clock is being set at this moment", "{}：此刻时钟正在被调整"),
    (
        "the clock is not synchronised: start an NTP client (chrony, systemd-timesyncd)",
        "时钟没有同步，请启动 NTP 客户端（chrony、systemd-timesyncd）",
    ),
    ("it is behind: the time zone database is of {}", "时钟慢了：时区数据库是 {} 年的"),
    ("set the clock, or start an NTP client", "请调整时钟，或启动 NTP 客户端"),
    ("this machine's clock is {} ms from the database's", "本机时钟与数据库的时钟相差 {} 毫秒"),
    ("{+}: timers fire at the wrong time", "{}，定时任务会在错误的时间触发"),
    ("synchronise the clocks (NTP)", "请同步时钟（NTP）"),
    # Zones
    ("time zone databases: {}", "时区数据库：{}"),
    ("expressions use that of pytz", "表达式使用 pytz 的数据库"),
    (
        "expressions use that of pytz, which is old: pip install -U pytz",
        "表达式使用 pytz 的数据库，它已过旧：pip install -U pytz",
    ),
    (
        "expressions use that of pytz, which is older than that of {} and {} and {}: pip install -U pytz",
        "表达式使用 pytz 的数据库，它比 {}、{} 和 {} 的旧：pip install -U pytz",
    ),
    (
        "expressions use that of pytz, which is older than that of {} and {}: pip install -U pytz",
        "表达式使用 pytz 的数据库，它比 {} 和 {} 的旧：pip install -U pytz",
    ),
    (
        "expressions use that of pytz, which is older than that of {}: pip install -U pytz",
        "表达式使用 pytz 的数据库，它比 {} 的旧：pip install -U pytz",
    ),
    # The store
    ("{}: schema {}, written to in {}", "{}：结构版本 {}，写入用时 {}"),
    ("{}: schema {}, written to in {}, {}, PostgreSQL {}", "{}：结构版本 {}，写入用时 {}，大小 {}，PostgreSQL {}"),
    ("{}: schema {}, written to in {}, {}, journal {} of {}", "{}：结构版本 {}，写入用时 {}，大小 {}，日志 {}，{}"),
    ("{+}: without a write-ahead log readers block the daemon", "{}：没有预写日志时，读取会阻塞守护进程"),
    ("is this a network disk?", "这是网络磁盘吗？"),
    ("{+}: a program that keeps reading prevents the checkpoint of the log", "{}：一直在读取的程序使日志无法收缩"),
    ("a NOTIFY reached its LISTEN in {}", "NOTIFY 用 {} 到达 LISTEN"),
    (
        "none arrived within {} s: is there a pooler in between? "
        "Daemons need connections of their own, or session pooling",
        "{} 秒内没有到达：中间有连接池吗？守护进程需要自己的连接，或会话级连接池",
    ),
    # Daemons
    ("no daemon runs", "没有守护进程在运行"),
    ("no daemon runs, and {} enabled timer will not fire: {}", "没有守护进程在运行，{} 个已启用的任务不会触发：{}"),
    ("no daemon runs, and {} enabled timers will not fire: {}", "没有守护进程在运行，{} 个已启用的任务不会触发：{}"),
    ("{} daemon: {} (process {}, since {})", "{} 个守护进程：{}（进程 {}，自 {} 起）"),
    ("{} daemons: {} (process {}, since {})", "{} 个守护进程：{}（进程 {}，自 {} 起）"),
    ("{} (process {}, since {})", "{}（进程 {}，自 {} 起）"),
    ("{+}, and {} expired lease", "{}，另有 {} 个过期的租约"),
    ("{+}, and {} expired leases", "{}，另有 {} 个过期的租约"),
    ("process {} of {}", "{1} 的进程 {0}"),
    (
        "{+} has not renewed its lease for {}: it hangs, is stopped, or its store does not answer",
        "{} 已有 {} 没有续租：它卡住了、被停止，或它的数据库没有响应",
    ),
    ("and {} more", "还有 {} 项"),
    # Timers
    ("{} timer, {} enabled", "{} 个任务，{} 个已启用"),
    ("{} timers, {} enabled", "{} 个任务，{} 个已启用"),
    ("{+}, {} of them finished", "{}，其中 {} 个已结束"),
    ("{+}, {} paused", "{}，{} 个已暂停"),
    ("the next fires at {}", "下一个在 {} 触发"),
    ("{} overdue, the longest by {}", "{} 个逾期，最久的逾期 {}"),
    (
        "{+}, though a daemon runs: is it overloaded? scheduler runs shows what takes long",
        "{}，尽管守护进程在运行。它是否过载？scheduler runs 显示什么耗时长",
    ),
    ("the next daemon applies their misfire policies", "下一个守护进程会按错过策略处理"),
    ("{} timer cannot fire here: {+}", "{} 个任务无法在这里触发：{}"),
    ("{} timers cannot fire here: {+}", "{} 个任务无法在这里触发：{}"),
    ("{} in production ({})", "生产环境的 {}（{}）"),
    ("{} in stage ({})", "预备环境的 {}（{}）"),
    # Calendars and pauses
    ("{} of {} timer is known until {}", "{} 被 {} 个任务使用，只确定到 {}"),
    ("{} of {} timers is known until {}", "{} 被 {} 个任务使用，只确定到 {}"),
    (
        "later, its working week is assumed: {} --known-until DATE, with the days up to then",
        "之后按其工作周推定：{} --known-until 日期，并补上到那时的日子",
    ),
    ("everything is paused since {+}", "全部任务已暂停：自 {}"),
    ("every timer of production is paused since {+}", "生产环境的任务已暂停：自 {}"),
    ("every timer of stage is paused since {+}", "预备环境的任务已暂停：自 {}"),
    ("every timer with the tag {} is paused since {+}", "标签为 {} 的任务已暂停：自 {}"),
    ("every timer with the tag {} in production is paused since {+}", "生产环境标签为 {} 的任务已暂停：自 {}"),
    ("every timer with the tag {} in stage is paused since {+}", "预备环境标签为 {} 的任务已暂停：自 {}"),
    ("{}, by {}", "{} 起，由 {}"),
    ("{} until {}, by {}", "{} 起，到 {} 为止，由 {}"),
    ("scheduler resume ends it", "用 scheduler resume 结束"),
    # Runs
    ("none is held up", "没有受阻的执行"),
    (
        "{} are claimed, and at most {} run at once, so {} or more wait for a free worker: "
        "raise max_workers, or lower the limits of functions that hang",
        "已领取 {} 次，最多同时执行 {} 次，所以至少 {} 次在等待空闲的工作进程：请增大 max_workers 或减小时限",
    ),
    (
        "{} run should have ended by its limit, the first was claimed {} ago: {+}",
        "{} 次执行早该按时限结束，最早的在 {} 前领取：{}",
    ),
    (
        "{} runs should have ended by its limit, the first was claimed {} ago: {+}",
        "{} 次执行早该按时限结束，最早的在 {} 前领取：{}",
    ),
    ("{} (production)", "{}（生产环境）"),
    ("{} (stage)", "{}（预备环境）"),
    (
        "too few workers, or none that loads the functions? the daemon's log says what it waits for",
        "工作进程太少，或没有能加载云函数的？守护进程的日志写明它在等什么",
    ),
    # Breakers
    ("all closed", "全部关闭"),
    ("{+} is open after {} failures: {+}", "{}连续失败 {} 次后熔断：{}"),
    ("{+} is half_open after {} failures: {+}", "{}连续失败 {} 次后半开：{}"),
    ("{+} is closed after {} failures: {+}", "{}连续失败 {} 次，尚未熔断：{}"),
    ("no error", "无错误信息"),
    ("{} NAME closes one", "{} 任务名 可关闭一个"),
)
