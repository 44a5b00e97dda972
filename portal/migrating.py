"""Taking a database along its history. Alembic is loaded when there is something to do: nearly no start has that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.database import db
from portal.core.places import migrations_dir
from portal.core.revisions import is_up_to_date

if TYPE_CHECKING:
    from flask import Flask


def carry_migrations(app: Flask) -> None:
    """Make `flask db …` and the functions of Flask-Migrate work on this application."""
    from flask_migrate import Migrate  # see above

    if "migrate" not in app.extensions:
        Migrate(app, db, directory=str(migrations_dir()), render_as_batch=True)


def upgrade(app: Flask, revision: str = "head") -> None:
    """Bring the database of this application, whose context we are in, to a revision."""
    from flask_migrate import upgrade as upgrade_by_alembic  # see above

    carry_migrations(app)
    upgrade_by_alembic(directory=str(migrations_dir()), revision=revision)


def migrate(app: Flask) -> None:
    """Bring the database up to date; of several who try at once one does it and the others wait."""
    with app.app_context():
        if not is_up_to_date():
            upgrade(app)
        db.session.remove()
        db.engine.dispose()
