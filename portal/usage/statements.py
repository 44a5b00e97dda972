"""The hot statements: the only SQL that spends. One text for both databases, written with :names.

Each is one guarded statement, so that two who race for the last unit cannot both have it (security.md, fact 5).
"""

from __future__ import annotations

import re

SPEND_DAY = """
INSERT INTO usage_days (user_id, day, used) VALUES (:user_id, :day, :units)
ON CONFLICT (user_id, day) DO UPDATE SET used = usage_days.used + :units
WHERE :most < 0 OR usage_days.used + :units <= :most
RETURNING used, closed_at
"""
# (The column itself: SQLite 3.40 answers `closed_at IS NOT NULL` with 1 for a row it has just inserted without one.)
# A user who moved west may spend on a day that is closed and folded already: its month gets the rest.
FOLD_LATE = """
INSERT INTO usage_months (user_id, month, used) VALUES (:user_id, :month, :units)
ON CONFLICT (user_id, month) DO UPDATE SET used = usage_months.used + :units
"""
READ_DAY = "SELECT used FROM usage_days WHERE user_id = :user_id AND day = :day"
NOTE_DETAIL = """
INSERT INTO usage_details (user_id, day, key_id, model, used, credits)
VALUES (:user_id, :day, :key_id, :model, :units, :credits)
ON CONFLICT (user_id, day, key_id, model) DO UPDATE
SET used = usage_details.used + :units, credits = usage_details.credits + :credits
"""
SPEND_CREDITS = """
UPDATE credit_balances
SET plan_credits = CASE WHEN plan_credits >= :credits THEN plan_credits - :credits ELSE 0 END,
    own_credits = CASE WHEN plan_credits >= :credits THEN own_credits ELSE own_credits - (:credits - plan_credits) END
WHERE user_id = :user_id AND plan_credits + own_credits >= :credits
RETURNING plan_credits + own_credits
"""
READ_CREDITS = "SELECT plan_credits + own_credits FROM credit_balances WHERE user_id = :user_id"
NOTE_CREDITS = """
INSERT INTO credit_entries (id, user_id, kind, amount, balance, reason, actor_kind, actor_name, decision_id, created_at)
VALUES (:id, :user_id, 'spend', :amount, :balance, '', :actor_kind, :actor_name, :decision_id, :at)
"""


def for_postgres(statement: str) -> str:
    """The same statement with the placeholders psycopg reads."""
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statement.replace("%", "%%"))


SQLITE = {name: text for name, text in globals().items() if name.isupper() and isinstance(text, str)}
POSTGRES = {name: for_postgres(text) for name, text in SQLITE.items()}
