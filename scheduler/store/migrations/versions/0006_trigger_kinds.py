"""A trigger is kept as its kind and a JSON object, so that a new kind needs no columns of its own.

Two other columns are renamed: those that name the run in which further fires of the same outcome are counted.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

#: The columns that stay as they are.
_KEPT = (
    *("id", "name", "environment", "function", "params", "enabled", "limit_s", "misfire", "overlap", "delivery"),
    *("breaker_threshold", "jitter_s", "retries", "retry_backoff_s", "breaker_state", "consecutive_failures"),
    *("openings", "opened_at", "next_probe_at", "last_error", "next_fire_at", "revision", "created_at"),
    *("declared_in", "declaration", "suspended"),
)
_DROPPED = ("expression", "tz", "dst", "every_s", "anchor_at")
_RENAMED = {"tail_run_id": "counter_run_id", "tail_outcome": "counter_outcome"}
_KIND = "CASE WHEN expression IS NULL THEN 'every' ELSE 'cron' END"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
    else:
        _alter()
    _convert_declarations()


def _trigger(quoted: str) -> str:
    """SQL for the JSON text of a trigger, as this program writes it; `quoted` makes a JSON string of a text."""
    texts = [f"""'"{name}":' || {quoted.format(name)}""" for name in ("expression", "tz", "dst")]
    cron = " || ',' || ".join(texts)
    every = """'"seconds":' || every_s || ',"anchor_at":' || COALESCE(anchor_at, 0)"""
    return f"'{{' || CASE WHEN expression IS NULL THEN {every} ELSE {cron} END || '}}'"


def _alter() -> None:
    for name in ("trigger_kind", "trigger"):
        op.add_column("timers", sa.Column(name, sa.Text(), nullable=True))
    op.execute(f"UPDATE timers SET trigger_kind = {_KIND}, trigger = {_trigger('to_json({}::text)::text')}")
    for name in ("trigger_kind", "trigger"):
        op.alter_column("timers", name, nullable=False)
    for name in _DROPPED:
        op.drop_column("timers", name)
    for old, new in _RENAMED.items():
        op.alter_column("timers", old, new_column_name=new)


def _rebuild() -> None:
    """Copy the table: not every SQLite in use can drop a column, and none can make one NOT NULL afterwards."""
    op.execute("ALTER TABLE timers RENAME TO timers_before")
    for index in ("timers_due", "timers_troubled"):
        op.drop_index(index, "timers_before")
    op.create_table(
        "timers",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("trigger_kind", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("limit_s", sa.Float(), nullable=False),
        sa.Column("misfire", sa.Text(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("breaker_threshold", sa.Integer(), nullable=False),
        sa.Column("jitter_s", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retry_backoff_s", sa.Float(), nullable=False, server_default="10"),
        sa.Column("breaker_state", sa.Text(), nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger()),
        sa.Column("next_probe_at", sa.BigInteger()),
        sa.Column("last_error", sa.Text()),
        sa.Column("next_fire_at", sa.BigInteger()),
        sa.Column("counter_run_id", sa.BigInteger()),
        sa.Column("counter_outcome", sa.Text()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("declared_in", sa.Text()),
        sa.Column("declaration", sa.Text()),
        sa.Column("suspended", sa.Boolean()),
        sa.UniqueConstraint("environment", "name"),
    )
    names = ", ".join([*_KEPT, "trigger_kind", "trigger", *_RENAMED.values()])
    values = ", ".join([*_KEPT, _KIND, _trigger("json_quote({})"), *_RENAMED])
    op.execute(f"INSERT INTO timers ({names}) SELECT {values} FROM timers_before")
    op.drop_table("timers_before")
    op.create_index("timers_due", "timers", ["next_fire_at"], sqlite_where=sa.text("next_fire_at IS NOT NULL"))
    troubled = sa.text("consecutive_failures > 0 OR breaker_state <> 'closed'")
    op.create_index("timers_troubled", "timers", ["id"], sqlite_where=troubled)


def _convert_declarations() -> None:
    """Rewrite every trigger in the few declarations, because each is compared with the next one."""
    timers = sa.table("timers", sa.column("id", sa.BigInteger), sa.column("declaration", sa.Text))
    connection = op.get_bind()
    declared = connection.execute(sa.select(timers).where(timers.c.declaration.is_not(None))).all()
    rows = [{"timer": row.id, "text": _converted(row.declaration)} for row in declared]
    if rows:
        update = timers.update().where(timers.c.id == sa.bindparam("timer"))
        connection.execute(update.values(declaration=sa.bindparam("text")), rows)


def _converted(declaration: str) -> str:
    attributes: dict[str, Any] = json.loads(declaration)
    expression, tz, dst, every_s = attributes["trigger"]
    if expression is None:
        attributes["trigger"] = {"kind": "every", "seconds": every_s, "anchor_at": 0}
    else:
        attributes["trigger"] = {"kind": "cron", "expression": expression, "tz": tz, "dst": dst}
    return json.dumps(attributes, ensure_ascii=False, sort_keys=True)
