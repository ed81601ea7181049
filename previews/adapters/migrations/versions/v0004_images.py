"""What CI called the image of a commit."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "named_image",
        sa.Column("project", sa.Text(), primary_key=True),
        sa.Column("head_sha", sa.Text(), primary_key=True),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("named_at", sa.DateTime(), nullable=False),
    )
    op.create_index("named_image_named_at", "named_image", ["named_at"])
