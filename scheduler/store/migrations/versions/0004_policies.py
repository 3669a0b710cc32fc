"""Columns for timers that are declared beside their functions, for jitter, and for retries."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("jitter_s", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retry_backoff_s", sa.Float(), nullable=False, server_default="10"),
        sa.Column("declared_in", sa.Text(), nullable=True),
        sa.Column("declaration", sa.Text(), nullable=True),
        sa.Column("suspended", sa.Boolean(), nullable=True),
    ):
        op.add_column("timers", column)
    op.add_column("runs", sa.Column("due_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("retry_at", sa.BigInteger(), nullable=True))
