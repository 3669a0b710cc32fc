"""A column for the request to cancel a run, and an index of the few runs that have one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("runs", sa.Column("cancel_requested_at", sa.BigInteger(), nullable=True))
    to_cancel = sa.text("cancel_requested_at IS NOT NULL AND outcome IS NULL")
    op.create_index("runs_to_cancel", "runs", ["id"], sqlite_where=to_cancel, postgresql_where=to_cancel)
