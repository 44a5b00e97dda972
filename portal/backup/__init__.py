"""Backup: one file of all rows as they were at one moment, and a key file of its own beside it."""
