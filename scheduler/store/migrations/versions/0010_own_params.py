"""A column for the parameters of a requested run that has its own."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("runs", sa.Column("own_params", sa.Text(), nullable=True))
