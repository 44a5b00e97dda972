"""Service clients: machines with an id, a secret and scopes. Not accounts.

Knows nothing of accounts.
"""
