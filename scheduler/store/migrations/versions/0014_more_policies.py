"""Columns for max_runs, max_concurrent, grace_s, catch_up_s and pause_on_failure of a timer."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for column in (
        sa.Column("max_runs", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("max_concurrent", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("grace_s", sa.Float(), nullable=False, server_default="5"),
        sa.Column("catch_up_s", sa.Float(), nullable=False, server_default="0"),
        sa.Column("pause_on_failure", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("begun_runs", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("timers", column)
