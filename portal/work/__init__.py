"""Jobs as records: runs, locks with a fence, pauses. What pages show and what the clock's door uses.

Knows no job by name.
"""
