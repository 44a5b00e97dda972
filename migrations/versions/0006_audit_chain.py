"""The chain of the audit log: the place of each entry, its end, daily roots, stretches in files."""

import hashlib
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
INDEXES = (
    ("request", ["request_id"], None),
    ("address", ["address", "at", "id"], None),
    ("unsealed", ["at", "id"], "seq IS NULL"),
    ("refused", ["at", "id"], "result <> 'done'"),
    ("behalf", ["on_behalf_of"], "on_behalf_of IS NOT NULL"),
)


def upgrade() -> None:
    """Apply."""
    for column in (
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("personal", sa.JSON(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("personal_digest", sa.LargeBinary(), nullable=True),
        sa.Column("purged_of", sa.Uuid(), nullable=True),
    ):
        op.add_column("audit_entries", column)
    op.create_index("ix_audit_entries_seq", "audit_entries", ["seq"], unique=True)
    for name, columns, rows in INDEXES:
        only = sa.text(rows) if rows else None
        op.create_index(f"ix_audit_entries_{name}", "audit_entries", columns, sqlite_where=only, postgresql_where=only)
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    genesis = hashlib.sha256(b"doorward audit chain 1").digest()
    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":
        now = now.replace(tzinfo=None)
    op.bulk_insert(head, [{"id": 1, "seq": 0, "digest": genesis, "sealed_at": now}])
    op.create_table(
        "audit_roots",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_audit_roots")),
    )
    op.create_table(
        "audit_stretches",
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("first", name=op.f("pk_audit_stretches")),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("audit_stretches", "audit_roots", "audit_head"):
        op.drop_table(table)
    for name in ("seq", *(name for name, _, _ in INDEXES)):
        op.drop_index(f"ix_audit_entries_{name}", "audit_entries")
    with op.batch_alter_table("audit_entries") as batch:
        for column in ("purged_of", "personal_digest", "salt", "personal", "digest", "seq"):
            batch.drop_column(column)
