"""How long previews live: what was asked for, what happened, and what a preview's row says of both.

A preview of the schema before has the time of its last push, and no other: it stands for its creation as well.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("preview", sa.Column("facts", sa.JSON(), nullable=True))
    op.add_column("preview", sa.Column("expiry", sa.JSON(), nullable=True))
    op.add_column("preview", sa.Column("queued_since", sa.DateTime(), nullable=True))
    op.add_column("preview", sa.Column("manifests_since", sa.DateTime(), nullable=True))
    op.add_column(
        "preview",
        sa.Column("is_rewritten", sa.Boolean(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column("preview", sa.Column("removal", sa.JSON(), nullable=True))
    op.create_table(
        "wishes",
        sa.Column("project", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("pin", sa.Text(), nullable=True),
        sa.Column("extension", sa.Text(), nullable=True),
        sa.Column("sleep", sa.Text(), nullable=True),
        sa.Column("wake", sa.Text(), nullable=True),
        sa.Column("redeploy", sa.Text(), nullable=True),
        sa.Column("removal", sa.Text(), nullable=True),
        sa.Column("eviction", sa.Text(), nullable=True),
        sa.Column("confirmation", sa.Text(), nullable=True),
        sa.Column("active_at", sa.Text(), nullable=True),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("history_preview", "history", ["project", "number"])
    _give_times_to_what_is_deployed()


def _give_times_to_what_is_deployed() -> None:
    connection = op.get_bind()
    # As plain text: the meaning of times and documents is this step's own, whatever becomes of the code's.
    rows = connection.execute(
        sa.text(
            "SELECT project, number, manifests, head_since, updated_at FROM preview "
            "WHERE manifests IS NOT NULL AND head_since IS NOT NULL"
        )
    ).all()
    for row in rows:
        try:
            stage = json.loads(row.manifests)["stage"]
        except (ValueError, TypeError, KeyError):
            continue
        if stage != "Whole":
            continue
        pushed_at = row.head_since.replace(" ", "T") + "+00:00"
        facts = {
            "asleep": None,
            "created_at": pushed_at,
            "expired_at": None,
            "pushed_at": pushed_at,
        }
        connection.execute(
            sa.text(
                "UPDATE preview SET facts = :facts, manifests_since = :since "
                "WHERE project = :project AND number = :number"
            ),
            {
                "facts": json.dumps(facts, sort_keys=True),
                "since": row.updated_at,
                "project": row.project,
                "number": row.number,
            },
        )
