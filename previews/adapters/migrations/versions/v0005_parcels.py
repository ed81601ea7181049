"""The projects' own secrets, as each preview was sent them: sealed, or none of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column(
        "preview",
        sa.Column("parcels", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
