"""What people say on pull requests, how far comments were read, and since when what they are shown is as it is."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("wishes", sa.Column("asked", sa.Text(), nullable=True))
    op.add_column("wishes", sa.Column("approval", sa.Text(), nullable=True))
    op.add_column("preview", sa.Column("paths", sa.JSON(), nullable=True))
    op.add_column("preview", sa.Column("shown_at", sa.DateTime(), nullable=True))
    op.create_table(
        "conversation",
        sa.Column("repository", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("read_until", sa.DateTime(), nullable=False),
    )
