"""Message logs: the spool that takes them, the flush that stores them, reading and searching.

A record is acknowledged only once it is durable in the spool.
"""
