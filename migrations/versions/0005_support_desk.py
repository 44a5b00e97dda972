"""The support desk: cases and what is said in them, notes, reveals, viewings, days given back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TABLES = ("viewings", "reveals", "mentions", "notes", "case_messages", "support_cases")


def upgrade() -> None:
    """Apply."""
    _add_cases()
    _add_notes()
    _add_looks()
    there = sa.text('"case" IS NOT NULL')
    op.create_index(
        "ix_audit_entries_case",
        "audit_entries",
        ["case", "at", "id"],
        sqlite_where=there,
        postgresql_where=there,
    )
    # What a caller reads out of their own program leads to them.
    op.create_index("ix_conversations_source", "conversations", ["source_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX ix_search_keys ON api_keys (prefix text_pattern_ops)")
    op.add_column("usage_days", sa.Column("given_back", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("usage_days", sa.Column("resets", sa.Integer(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_conversations_source", table_name="conversations")
    op.execute("DROP INDEX IF EXISTS ix_search_keys")
    op.drop_index("ix_audit_entries_case", table_name="audit_entries")
    op.drop_column("usage_days", "resets")
    op.drop_column("usage_days", "given_back")
    for table in TABLES:
        op.drop_table(table)


def _of_user(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f(f"fk_{table}_user_id")),
    ]


def _add_cases() -> None:
    op.create_table(
        "support_cases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=12), nullable=False),
        *_of_user("support_cases"),
        sa.Column("opened_by", sa.Uuid(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("subject", sa.String(length=10), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("wanted_id", sa.Uuid(), nullable=True),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("waiting_since", INSTANT, nullable=True),
        sa.Column("used_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("outcome", sa.String(length=500), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'held', 'closed')", name=op.f("ck_support_cases_state")),
        sa.CheckConstraint("level IN (1, 2, 3)", name=op.f("ck_support_cases_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_support_cases")),
        sa.UniqueConstraint("number", name=op.f("uq_support_cases_number")),
    )
    op.create_index("ix_support_cases_user", "support_cases", ["user_id", "opened_at", "id"])
    op.create_index("ix_support_cases_holder", "support_cases", ["holder_id", "state", "used_at"])
    op.create_index("ix_support_cases_queue", "support_cases", ["state", "level", "waiting_since", "id"])
    op.create_index("ix_support_cases_wanted", "support_cases", ["wanted_id", "state"])
    op.create_table(
        "case_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("by_user", sa.Boolean(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("words", sa.String(length=4000), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["support_cases.id"], name=op.f("fk_case_messages_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_messages")),
    )
    op.create_index("ix_case_messages_case", "case_messages", ["case_id", "at", "id"])


def _add_notes() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_user("notes"),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("words", sa.String(length=2000), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("case", sa.String(length=12), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
    )
    op.create_index("ix_notes_user", "notes", ["user_id", "at", "id"])
    op.create_table(
        "mentions",
        sa.Column("note_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["note_id"], ["notes.id"], name=op.f("fk_mentions_note_id")),
        sa.PrimaryKeyConstraint("note_id", "account_id", name=op.f("pk_mentions")),
    )
    op.create_index("ix_mentions_account", "mentions", ["account_id", "seen_at"])


def _add_looks() -> None:
    op.create_table(
        "reveals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        *_of_user("reveals"),
        sa.Column("field", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("case", sa.String(length=12), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.CheckConstraint("field IN ('email', 'address')", name=op.f("ck_reveals_field")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reveals")),
    )
    op.create_index("ix_reveals_reader", "reveals", ["reader_id", "at"])
    op.create_index("ix_reveals_user", "reveals", ["user_id", "reader_id", "until"])
    op.create_table(
        "viewings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("viewer_id", sa.Uuid(), nullable=False),
        *_of_user("viewings"),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("case", sa.String(length=12), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_viewings")),
    )
    op.create_index("ix_viewings_viewer", "viewings", ["viewer_id", "user_id", "until"])
    op.create_index("ix_viewings_user", "viewings", ["user_id", "at"])
