"""Coming in: registration, invitations, passwords, sessions, throttled guessing, resets.

Knows accounts and plans; knows no cookie and no form.
"""
