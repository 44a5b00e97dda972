"""The support desk: what a level sees of a record, and what it may do.

Masks are made here, before a face gets the values, so that no page can forget them.
"""
