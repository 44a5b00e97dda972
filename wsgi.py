"""Builds the application for a server that wants `wsgi:app`; nothing else."""

from config import settings
from portal import create_app

app = create_app(settings)
