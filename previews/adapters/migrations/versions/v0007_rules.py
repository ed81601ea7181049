"""What is wrong with a repository's own rules, for the previews that are there."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "preview", sa.Column("rules_warning", sa.Text(), nullable=False, server_default='""')
    )
