"""Columns for then and then_on of a timer, and for the run that led to a run."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("timers", sa.Column("then", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("timers", sa.Column("then_on", sa.Text(), nullable=False, server_default="succeeded"))
    op.add_column("runs", sa.Column("cause_id", sa.BigInteger()))
    chained = sa.text("\"then\" <> '[]'")
    op.create_index("timers_chained", "timers", ["id"], sqlite_where=chained, postgresql_where=chained)
    caused = sa.text("cause_id IS NOT NULL")
    op.create_index("runs_caused", "runs", ["cause_id"], sqlite_where=caused, postgresql_where=caused)
