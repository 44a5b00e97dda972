"""Builds the application for a server that wants `wsgi:app`; nothing else."""

from config import settings
from portal import create_app
from portal.migrating import carry_migrations

app = create_app(settings)
carry_migrations(app)  # for `flask --app wsgi db …`
