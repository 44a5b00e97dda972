"""Tokens of accounts and clients: what opens, what does not, and when it ends."""
