"""Demo data: believable people, plans, usage and conversations. Never in production."""
