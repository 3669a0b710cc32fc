"""A table for calendars of working days, and columns for the calendar of a timer."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "calendars",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )
    for column in (
        sa.Column("calendar", sa.Text(), nullable=True),
        sa.Column("roll", sa.Text(), nullable=False, server_default="skip"),
        sa.Column("calendar_digest", sa.Text(), nullable=True),
    ):
        op.add_column("timers", column)
