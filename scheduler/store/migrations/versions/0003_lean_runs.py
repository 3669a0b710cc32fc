"""Runs are written twice for each fire: without a foreign key to check, and with one index fewer to keep."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_index("runs_by_timer", "runs")
    if op.get_bind().dialect.name == "sqlite":
        _copy_without_foreign_key()
    else:
        op.drop_constraint("runs_timer_id_fkey", "runs", type_="foreignkey")
    waiting = sa.text("outcome IS NULL AND owner IS NULL")
    op.create_index("runs_waiting", "runs", ["id"], sqlite_where=waiting, postgresql_where=waiting)


def _copy_without_foreign_key() -> None:
    """SQLite forgets a constraint only with its table, and to drop that would drop the lines: they move first."""
    op.execute("ALTER TABLE runs RENAME TO runs_before")
    op.drop_index("runs_open", "runs_before")
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("timer_id", sa.BigInteger()),
        sa.Column("timer", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fire_at", sa.BigInteger(), nullable=False),
        sa.Column("last_fire_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.BigInteger()),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("outcome", sa.Text()),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("result", sa.Text()),
        sa.Column("lines_dropped", sa.Integer(), nullable=False),
    )
    op.create_index("runs_open", "runs", ["timer_id"], sqlite_where=sa.text("outcome IS NULL"))
    op.execute("INSERT INTO runs SELECT * FROM runs_before")
    op.execute("ALTER TABLE lines RENAME TO lines_before")
    op.drop_index("lines_by_run", "lines_before")
    op.create_table(
        "lines",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("run_id", sa.BigInteger(), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.create_index("lines_by_run", "lines", ["run_id", "id"])
    op.execute("INSERT INTO lines SELECT * FROM lines_before")
    op.drop_table("lines_before")
    op.drop_table("runs_before")
