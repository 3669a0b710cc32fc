"""A column for the ping address of a timer."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("timers", sa.Column("ping_url", sa.Text()))
