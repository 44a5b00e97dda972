"""What every feature stands on: settings, clock, ids, errors, text, access, crypto, the database.

Knows no feature and no request. May be imported by everything; imports nothing of ours but itself.
"""
