"""Answers kept for 24 hours, so that a call repeated with its Idempotency-Key is answered again and not done again.

Knows callers only as ids.
"""
