"""Where something of a preview's database may be, until it is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column(
        "preview",
        sa.Column("traces", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
