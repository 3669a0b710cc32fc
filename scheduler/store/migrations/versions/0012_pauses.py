"""Pauses, and whether a timer is held by one; the index of due timers leaves out those that are."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("environment", sa.Text()),
        sa.Column("tag", sa.Text()),
        sa.Column("timer_id", sa.BigInteger()),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
    )
    op.add_column("timers", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("timers_due", "timers")
    due = sa.text("next_fire_at IS NOT NULL AND NOT held")
    op.create_index("timers_due", "timers", ["next_fire_at", "held"], sqlite_where=due, postgresql_where=due)
