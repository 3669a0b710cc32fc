"""Columns for timers that are declared beside their functions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("declared_in", sa.Text(), nullable=True),
        sa.Column("declaration", sa.Text(), nullable=True),
        sa.Column("suspended", sa.Boolean(), nullable=True),
    ):
        op.add_column("timers", column)
