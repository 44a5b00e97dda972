"""Runs migrations on the application's own database: one transaction each, one migrator at a time."""

from __future__ import annotations

from alembic import context
from flask import current_app
from sqlalchemy import text

import portal.accounts.models
import portal.audit.models
import portal.clients.models
import portal.core.data_keys
import portal.insight.models
import portal.keys.models
import portal.mail.models
import portal.messages.models
import portal.outside.models
import portal.privacy.models
import portal.prompts.models
import portal.repeats.models
import portal.signin.models
import portal.support.models
import portal.tokens.models
import portal.usage.models
import portal.work.models  # noqa: F401  # imported so that the metadata is whole
from portal.core.database import Base

# Made by hand in the migrations; no model speaks of them.
BY_HAND = ("account_search", "message_search")


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Leave the search tables and indexes to the migrations that made them."""
    return not (name or "").startswith((*BY_HAND, "ix_search_"))


def run() -> None:
    """Migrate online; PostgreSQL holds an advisory lock, SQLite its writer's lock."""
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("BEGIN"))
            connection.execute(text("SELECT pg_advisory_xact_lock(6417203)"))
        else:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("PRAGMA busy_timeout=60000")
            connection.connection.dbapi_connection.execute("BEGIN IMMEDIATE")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_name=include_name,
            render_as_batch=True,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


run()
