"""Columns for remove_when_finished, fire_on_enable and fire_on_start of a timer; whether a daemon's start has fired."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    for name in ("remove_when_finished", "fire_on_enable", "fire_on_start"):
        op.add_column("timers", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("daemons", sa.Column("has_fired", sa.Boolean(), nullable=False, server_default=sa.false()))
    passing = sa.text("remove_when_finished")
    op.create_index("timers_passing", "timers", ["id"], sqlite_where=passing, postgresql_where=passing)
