"""Conversations kept safely: sealing, choices, long work, prompts, status checks; whose words the search holds."""

import json
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH = 1000
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
CHOICES = "('plan', 'nothing', 'metadata', '7', '30', '365')"


def upgrade() -> None:
    """Apply."""
    _add_tables()
    _add_long_works()
    op.create_index("ix_message_logs_at", "message_logs", ["at", "number", "model_id"])
    op.create_index("ix_message_logs_model", "message_logs", ["user_id", "model_id", "at", "number"])
    op.create_index("ix_message_logs_received", "message_logs", ["received_at", "number"])
    op.add_column("conversations", sa.Column("sealed_title", sa.LargeBinary(), nullable=True))
    # Spelt out, for on SQLite only so a column comes with its check and without a copy of the table.
    op.execute(
        "ALTER TABLE users ADD COLUMN keep_messages VARCHAR(10) DEFAULT 'plan' NOT NULL"
        f" CONSTRAINT ck_users_keep_messages CHECK (keep_messages IN {CHOICES})"
    )
    op.add_column("users", sa.Column("keep_changed_at", INSTANT, nullable=True))
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.alter_column("retention_days", existing_type=sa.Integer(), nullable=True)
    with op.batch_alter_table("quarantined_records", schema=None) as batch_op:
        batch_op.alter_column("line", existing_type=sa.Text(), nullable=True)
        batch_op.add_column(sa.Column("spool_key", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("client_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("user_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("source_id", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("sealed", sa.LargeBinary(), nullable=True))
        batch_op.create_index("ix_quarantined_records_at", ["at", "id"], unique=False)
        batch_op.create_unique_constraint(batch_op.f("uq_quarantined_records_spool_key"), ["spool_key"])
    _name_owners()
    _remake_search(owned=True)


def downgrade() -> None:
    """Take back."""
    _remake_search(owned=False)
    with op.batch_alter_table("message_contents", schema=None) as batch_op:
        batch_op.drop_column("user_id")
    op.execute("DELETE FROM quarantined_records WHERE line IS NULL")
    with op.batch_alter_table("quarantined_records", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_quarantined_records_spool_key"), type_="unique")
        batch_op.drop_index("ix_quarantined_records_at")
        for name in ("sealed", "source_id", "user_id", "client_id", "spool_key"):
            batch_op.drop_column(name)
        batch_op.alter_column("line", existing_type=sa.Text(), nullable=False)
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_users_keep_messages"), type_="check")
        batch_op.drop_column("keep_changed_at")
        batch_op.drop_column("keep_messages")
    op.execute("UPDATE plans SET retention_days = 365 WHERE retention_days IS NULL")
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.alter_column("retention_days", existing_type=sa.Integer(), nullable=False)
    op.drop_column("conversations", "sealed_title")
    for index in ("received", "model", "at"):
        op.drop_index(f"ix_message_logs_{index}", "message_logs")
    for table in (
        "long_works",
        "status_clients",
        "status_checks",
        "prompts",
        "content_openings",
        "sealed_contents",
        "key_checks",
        "data_keys",
    ):
        op.drop_table(table)


def _add_tables() -> None:
    op.create_table(
        "data_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_by", sa.String(length=16), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("destroyed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_data_keys_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_data_keys")),
    )
    op.create_index(op.f("ix_data_keys_wrapped_by"), "data_keys", ["wrapped_by"])
    op.create_table(
        "key_checks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_key_checks")),
    )
    op.create_table(
        "sealed_contents",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["message_logs.number"], name=op.f("fk_sealed_contents_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sealed_contents")),
    )
    op.create_table(
        "content_openings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reader_id", sa.Uuid(), nullable=False),
        sa.Column("reader_kind", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("log_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("case", sa.String(length=40), nullable=True),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_content_openings_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_openings")),
    )
    op.create_index("ix_content_openings_reader", "content_openings", ["reader_id", "user_id", "until"])
    op.create_table(
        "prompts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_prompts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
    )
    op.create_index("ix_prompts_user", "prompts", ["user_id", "updated_at", "id"])
    op.create_table(
        "status_checks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("client_name", sa.String(length=80), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["service_clients.id"], name=op.f("fk_status_checks_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_checks")),
    )
    op.create_index("ix_status_checks_created", "status_checks", ["created_at", "id"])
    op.create_table(
        "status_clients",
        sa.Column("client_name", sa.String(length=80), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.Column("last_note", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["service_clients.id"], name=op.f("fk_status_clients_client_id")),
        sa.PrimaryKeyConstraint("client_name", name=op.f("pk_status_clients")),
    )


def _add_long_works() -> None:
    op.create_table(
        "long_works",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("stop_asked_at", INSTANT, nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("file", sa.String(length=200), nullable=True),
        sa.Column("link_digest", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("held_until", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'stopped')", name=op.f("ck_long_works_state")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name=op.f("fk_long_works_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_long_works")),
        sa.UniqueConstraint("link_digest", name=op.f("uq_long_works_link_digest")),
    )
    op.create_index("ix_long_works_expires", "long_works", ["expires_at"])
    op.create_index("ix_long_works_owner", "long_works", ["owner_id", "created_at", "id"])
    op.create_index("ix_long_works_state", "long_works", ["state", "created_at"])


def _name_owners() -> None:
    """Write beside the words whose they are, so that a search may ask for both in one place."""
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("message_contents", sa.Column("user_id", sa.Uuid(), nullable=True))
        op.execute(
            "UPDATE message_contents SET user_id = message_logs.user_id FROM message_logs"
            " WHERE message_logs.number = message_contents.number"
        )
        op.alter_column("message_contents", "user_id", nullable=False)
        return
    op.create_table(
        "message_contents_owned",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["message_logs.number"], name=op.f("fk_message_contents_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_message_contents")),
    )
    op.execute(
        "INSERT INTO message_contents_owned (number, user_id, messages)"
        " SELECT number, message_logs.user_id, messages FROM message_contents JOIN message_logs USING (number)"
    )
    op.drop_table("message_contents")
    op.rename_table("message_contents_owned", "message_contents")


def _remake_search(*, owned: bool) -> None:
    """SQLite's index of words again, with or without whose they are, from the words that are kept.

    They are packed from this version on; the one before reads them only as text.
    """
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        return
    op.execute("DROP TABLE message_search")
    op.execute(
        f"CREATE VIRTUAL TABLE message_search USING fts5(words{', owner' if owned else ''}, content='',"
        " tokenize='unicode61 remove_diacritics 0')"
    )
    contents = sa.table(
        "message_contents", sa.column("number", NUMBER), sa.column("user_id", sa.Uuid()), sa.column("messages")
    )
    unpack = sa.text("UPDATE message_contents SET messages = :messages WHERE number = :number")
    columns, values = (
        ("rowid, words, owner", ":number, :words, :owner") if owned else ("rowid, words", ":number, :words")
    )
    fill = sa.text(f"INSERT INTO message_search ({columns}) VALUES ({values})")  # noqa: S608  # two texts from above
    last = 0
    while True:
        query = sa.select(contents).where(contents.c.number > last).order_by(contents.c.number).limit(BATCH)
        rows = bind.execute(query).all()
        if not rows:
            return
        last = rows[-1].number
        texts = {row.number: _text_of(row.messages) for row in rows}
        packed = [
            {"number": row.number, "messages": texts[row.number]} for row in rows if texts[row.number] != row.messages
        ]
        if packed:
            bind.execute(unpack, packed)
        filled = [{"number": number, "words": _words_of(json.loads(text))} for number, text in texts.items()]
        if owned:
            filled = [{**cells, "owner": f"u{row.user_id.hex}"} for cells, row in zip(filled, rows, strict=True)]
        bind.execute(fill, filled)


def _text_of(kept: bytes | str) -> str:
    return kept if isinstance(kept, str) else zlib.decompress(kept).decode()


def _words_of(messages: list[dict[str, Any]]) -> str:
    """The words of an exchange as this version indexed them."""
    words: list[str] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            words.append(content)
        elif isinstance(content, list):
            said = [part.get("text") if isinstance(part, dict) else part for part in content]
            words += [part for part in said if isinstance(part, str)]
    return "\n".join(words)
