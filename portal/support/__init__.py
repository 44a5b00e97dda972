"""The support desk: what a level sees of a record, and what it may do.

What a level may not see is masked here, before a face gets the values, so that no page can forget it.
"""
