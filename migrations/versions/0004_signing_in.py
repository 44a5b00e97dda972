"""Signing in properly: steps, second factors, known devices, networks, outside providers, pictures, leaving."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TABLES = (
    "external_identities",
    "providers",
    "pictures",
    "sign_in_networks",
    "recovery_codes",
    "passkeys",
    "authenticators",
    "known_devices",
    "sign_in_steps",
)


def upgrade() -> None:
    """Apply."""
    op.add_column("accounts", sa.Column("has_factor", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("accounts", sa.Column("locked_at", INSTANT, nullable=True))
    op.add_column("accounts", sa.Column("theme", sa.String(length=5), nullable=False, server_default="auto"))
    op.add_column("accounts", sa.Column("picture_id", sa.Uuid(), nullable=True))
    op.add_column("accounts", sa.Column("renamed_at", INSTANT, nullable=True))
    op.add_column("reserved_names", sa.Column("until", INSTANT, nullable=True))
    op.create_index("ix_reserved_names_until", "reserved_names", ["until"])
    op.create_index("ix_one_time_links_expires", "one_time_links", ["expires_at"])
    op.create_index("ix_outbox_state", "outbox", ["state", "id"])
    op.add_column("outbox", sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("outbox", sa.Column("unsure", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("users", sa.Column("closes_at", INSTANT, nullable=True))
    op.create_index("ix_users_closes_at", "users", ["closes_at"])
    op.add_column("failure_counts", sa.Column("last_at", INSTANT, nullable=True))
    op.add_column("sessions", sa.Column("method", sa.String(length=20), nullable=False, server_default="password"))
    op.add_column("sessions", sa.Column("proven_at", INSTANT, nullable=True))
    op.add_column("sessions", sa.Column("entered_at", INSTANT, nullable=True))
    op.execute("UPDATE sessions SET entered_at = created_at")
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.alter_column("entered_at", existing_type=INSTANT, nullable=False)
    _add_ways_in()
    _add_factors()
    _add_providers()


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_table(table)
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        for name in ("entered_at", "proven_at", "method"):
            batch_op.drop_column(name)
    op.drop_column("failure_counts", "last_at")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_column("unsure")
        batch_op.drop_column("refusals")
    op.drop_index("ix_outbox_state", "outbox")
    op.drop_index("ix_one_time_links_expires", "one_time_links")
    op.drop_index("ix_reserved_names_until", "reserved_names")
    op.drop_column("reserved_names", "until")
    op.drop_index("ix_users_closes_at", "users")
    op.drop_column("users", "closes_at")
    for name in ("renamed_at", "picture_id", "theme", "locked_at", "has_factor"):
        op.drop_column("accounts", name)


def _of_account(table: str, *, name: str = "account_id", nullable: bool = False) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(name, sa.Uuid(), nullable=nullable),
        sa.ForeignKeyConstraint([name], ["accounts.id"], name=op.f(f"fk_{table}_{name}")),
    ]


def _add_ways_in() -> None:
    op.create_table(
        "sign_in_steps",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        *_of_account("sign_in_steps", nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_steps")),
    )
    op.create_index("ix_sign_in_steps_account", "sign_in_steps", ["account_id"])
    op.create_index("ix_sign_in_steps_expires", "sign_in_steps", ["expires_at"])
    op.create_table(
        "known_devices",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *_of_account("known_devices"),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("digest", "account_id", name=op.f("pk_known_devices")),
    )
    op.create_index("ix_known_devices_account", "known_devices", ["account_id", "last_seen_at"])
    op.create_table(
        "sign_in_networks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=49), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('staff', 'admin')", name=op.f("ck_sign_in_networks_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_networks")),
        sa.UniqueConstraint("kind", "network", name=op.f("uq_sign_in_networks_kind_network")),
    )
    op.create_table(
        "pictures",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_account("pictures"),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
        sa.UniqueConstraint("account_id", name=op.f("uq_pictures_account_id")),
    )


def _add_factors() -> None:
    op.create_table(
        "authenticators",
        *_of_account("authenticators"),
        sa.Column("sealed_seed", sa.Text(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_authenticators")),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_account("passkeys"),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("transports", sa.JSON(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index("ix_passkeys_account", "passkeys", ["account_id", "created_at"])
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_account("recovery_codes"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint("account_id", "digest", name=op.f("uq_recovery_codes_account_id_digest")),
    )


def _add_providers() -> None:
    op.create_table(
        "providers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("domains", sa.JSON(), nullable=False),
        sa.Column("makes_accounts", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("slug", name=op.f("uq_providers_slug")),
    )
    op.create_table(
        "external_identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_account("external_identities"),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_external_identities_issuer_subject")),
    )
    op.create_index("ix_external_identities_account", "external_identities", ["account_id", "created_at"])
