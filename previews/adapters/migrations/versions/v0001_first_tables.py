"""The first tables: deliveries, previews, and what was published on pull requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("guid", sa.Text(), primary_key=True),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index("delivery_received_at", "delivery", ["received_at"])
    op.create_table(
        "preview",
        sa.Column("project", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("repository", sa.Text(), nullable=True),
        sa.Column("fetch_mark", sa.Integer(), nullable=False),
        sa.Column("pull_request", sa.JSON(), nullable=True),
        sa.Column("head_since", sa.DateTime(), nullable=True),
        sa.Column("manifests", sa.JSON(), nullable=True),
        sa.Column("probed_digest", sa.Text(), nullable=False),
        sa.Column("probe_result", sa.JSON(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
    )
    op.create_index("preview_pull_request", "preview", ["repository", "number"])
    op.create_table(
        "published",
        sa.Column("repository", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("target", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
    )
