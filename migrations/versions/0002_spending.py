"""Spending: kept answers, leases, refunds, refusals, warnings; and what keys, balances and users carry for it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "kept_answers",
        sa.Column("caller_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller_id", "key", name=op.f("pk_kept_answers")),
    )
    with op.batch_alter_table("kept_answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_kept_answers_created_at"), ["created_at"], unique=False)

    op.create_table(
        "leases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("client_name", sa.String(length=80), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("conversations", sa.Integer(), nullable=False),
        sa.Column("plan_credits", sa.Integer(), nullable=False),
        sa.Column("own_credits", sa.Integer(), nullable=False),
        sa.Column("used_conversations", sa.Integer(), nullable=False),
        sa.Column("used_credits", sa.Integer(), nullable=False),
        sa.Column("ttl_s", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'settled', 'lost')", name=op.f("ck_leases_state")),
        sa.CheckConstraint(
            "used_conversations >= 0 AND used_conversations <= conversations", name=op.f("ck_leases_used_conversations")
        ),
        sa.CheckConstraint(
            "used_credits >= 0 AND used_credits <= plan_credits + own_credits", name=op.f("ck_leases_used_credits")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_leases_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
    )
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index(
            "ix_leases_open",
            ["ends_at"],
            unique=False,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )
        batch_op.create_index("ix_leases_user", ["user_id", "created_at", "id"], unique=False)

    op.create_table(
        "refunds",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("conversations", sa.Integer(), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("actor_kind", sa.String(length=20), nullable=False),
        sa.Column("actor_name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_refunds_user_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_refunds")),
    )
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refunds_created_at"), ["created_at"], unique=False)

    op.create_table(
        "refusals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("client_name", sa.String(length=80), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_facts", sa.JSON(), nullable=False),
        sa.Column("last_facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_refusals_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusals")),
    )
    with op.batch_alter_table("refusals", schema=None) as batch_op:
        batch_op.create_index("ix_refusals_last_at", ["last_at"], unique=False)
        batch_op.create_index("ix_refusals_user", ["user_id", "last_at", "id"], unique=False)

    op.create_table(
        "usage_warnings",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("daily_limit", sa.Integer(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["accounts.id"], name=op.f("fk_usage_warnings_user_id")),
        sa.PrimaryKeyConstraint("user_id", "day", "mark", name=op.f("pk_usage_warnings")),
    )
    with op.batch_alter_table("usage_warnings", schema=None) as batch_op:
        batch_op.create_index("ix_usage_warnings_day", ["day"], unique=False)
        batch_op.create_index(
            "ix_usage_warnings_untold",
            ["reached_at"],
            unique=False,
            sqlite_where=sa.text("told_at IS NULL"),
            postgresql_where=sa.text("told_at IS NULL"),
        )

    op.create_table(
        "key_uses",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("client_name", sa.String(length=80), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_key_uses_key_id")),
        sa.PrimaryKeyConstraint("key_id", "client_name", "address", name=op.f("pk_key_uses")),
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("daily_limit", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("revoked_why", sa.String(length=10), server_default=sa.text("''"), nullable=False)
        )
        batch_op.add_column(sa.Column("replaced_by", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("expiry_told_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("last_used_from", sa.String(length=45), nullable=True))
        batch_op.add_column(sa.Column("last_used_by", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
        batch_op.create_index(
            "ix_api_keys_ending",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("expires_at IS NOT NULL"),
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        )

    with op.batch_alter_table("credit_balances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("plan_granted", sa.BigInteger(), server_default=sa.text("0"), nullable=False))

    # What a month was given before it was written down: the plan's credits, so that nobody gets them twice.
    op.execute(
        "UPDATE credit_balances SET plan_granted = COALESCE((SELECT p.credits_per_month FROM accounts a"
        " JOIN plans p ON p.id = a.plan_id WHERE a.id = credit_balances.user_id), 0) WHERE plan_month IS NOT NULL"
    )

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("boost_extra", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("boost_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("next_plan_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("next_plan_from", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("zone_changed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("held_day", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("warn_by_mail", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.create_foreign_key(batch_op.f("fk_users_next_plan_id"), "plans", ["next_plan_id"], ["id"])


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_users_next_plan_id"), type_="foreignkey")
        batch_op.drop_column("warn_by_mail")
        batch_op.drop_column("held_until")
        batch_op.drop_column("held_day")
        batch_op.drop_column("zone_changed_at")
        batch_op.drop_column("next_plan_from")
        batch_op.drop_column("next_plan_id")
        batch_op.drop_column("boost_until")
        batch_op.drop_column("boost_extra")

    with op.batch_alter_table("credit_balances", schema=None) as batch_op:
        batch_op.drop_column("plan_granted")

    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_api_keys_ending",
            sqlite_where=sa.text("expires_at IS NOT NULL"),
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        )
        batch_op.drop_column("version")
        batch_op.drop_column("last_used_by")
        batch_op.drop_column("last_used_from")
        batch_op.drop_column("expiry_told_at")
        batch_op.drop_column("replaced_by")
        batch_op.drop_column("revoked_why")
        batch_op.drop_column("daily_limit")

    op.drop_table("key_uses")
    with op.batch_alter_table("usage_warnings", schema=None) as batch_op:
        batch_op.drop_index("ix_usage_warnings_day")
        batch_op.drop_index(
            "ix_usage_warnings_untold",
            sqlite_where=sa.text("told_at IS NULL"),
            postgresql_where=sa.text("told_at IS NULL"),
        )

    op.drop_table("usage_warnings")
    with op.batch_alter_table("refusals", schema=None) as batch_op:
        batch_op.drop_index("ix_refusals_user")
        batch_op.drop_index("ix_refusals_last_at")

    op.drop_table("refusals")
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refunds_created_at"))

    op.drop_table("refunds")
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_index("ix_leases_user")
        batch_op.drop_index(
            "ix_leases_open", sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'")
        )

    op.drop_table("leases")
    with op.batch_alter_table("kept_answers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_kept_answers_created_at"))

    op.drop_table("kept_answers")
