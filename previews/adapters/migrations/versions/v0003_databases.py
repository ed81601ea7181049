"""The database of each preview: what it was granted, and what was asked for. Texts are JSON, an empty one too."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("preview", sa.Column("grant", sa.JSON(), nullable=True))
    for name in ("edited_migrations", "storage_warning"):
        op.add_column("preview", sa.Column(name, sa.Text(), nullable=False, server_default='""'))
    op.add_column("wishes", sa.Column("reset", sa.Text(), nullable=True))
    op.add_column("wishes", sa.Column("rotation", sa.Text(), nullable=True))
