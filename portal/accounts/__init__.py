"""Accounts of all kinds: one name space, states, epoch, one-time links, and what admins do to them.

Knows plans only as ids; knows no key, session or message.
"""
