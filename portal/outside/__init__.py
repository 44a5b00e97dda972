"""Signing in with an outside provider (OpenID Connect): providers, the way there and back, identities that are linked.

A whole slice: nothing but the doors imports it, and deleting it is deleting this folder.
"""
