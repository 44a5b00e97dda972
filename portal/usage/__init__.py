"""Plans, the daily limit, credits: what may be spent, and the only statements that spend.

Knows users; knows keys only as ids. No limit here depends on a job having run.
"""
