"""Deleting, restoring and purging users.

Personal data is sealed away and names stay reserved until the purge.
"""
