"""Runs in a fleet of workers: which worker has begun one, and which runs outlive their daemon."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("runs", sa.Column("worker", sa.Text(), nullable=True))
    op.add_column("daemons", sa.Column("fleet", sa.Text(), server_default="", nullable=False))
