"""The settings of this checkout: the environment, then `.env`, then defaults. Their home is portal/core/settings.py."""

from portal.core.settings import load

settings = load()
