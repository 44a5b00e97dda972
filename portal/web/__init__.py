"""The frame around both doors: request ids, headers, sessions and actors, one commit, errors, gates, faces.

Knows HTTP and no subject.
"""
