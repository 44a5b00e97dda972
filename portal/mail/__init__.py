"""Mail. An outbox row is written with the change; a job sends it. Links are SITE_URL and a literal path.

Knows nothing of HTTP, nor of who is written to beyond an address and a language.
"""
