"""The record of who did what. Events declare their exact facts; entries are written with the act.

Knows accounts and keys only as ids and names it is told.
"""
