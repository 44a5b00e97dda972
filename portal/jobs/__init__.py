"""The clock's door: the table of jobs, and the runner that starts them in UTC.

A job calls one verb of a feature and says in one line what came of it.
"""
