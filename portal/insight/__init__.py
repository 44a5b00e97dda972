"""Read-only: figures for the dashboard and facts about health.

Counting is a job's work; pages read what it wrote.
"""
