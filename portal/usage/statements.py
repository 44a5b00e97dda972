"""The hot statements: the only SQL that spends. One text for both databases, written with :names.

Each writing one is guarded, so that two who race for the last unit cannot both have it. Rows are locked in one order
everywhere: key, balance, day, details.
"""

from __future__ import annotations

from portal.core.hot import HURRIED, RELIED
from portal.core.statements import both, for_postgres, placed

# Holds only for rows as they were read: a change of key, account or plan is felt by the very next spending.
_AS_READ = """EXISTS (SELECT 1 FROM accounts a JOIN plans p ON p.id = :plan_id
    WHERE a.id = :user_id AND a.version = :account_version AND p.version = :plan_version)"""
_KEY_AS_READ = " AND ".join(
    (_AS_READ, "EXISTS (SELECT 1 FROM api_keys k WHERE k.id = :key_id AND k.version = :key_version)")
)
# In one text, for each column would be a search of its own; `balance_of_text` reads it.
_BALANCE = """c.plan_credits || ' ' || c.own_credits || ' ' || c.plan_granted || ' '
    || COALESCE(CAST(c.plan_month AS VARCHAR), '')"""
_SPEND = """
INSERT INTO usage_days (user_id, day, used)
SELECT :user_id, :day, :units
WHERE (:most < 0 OR :units <= :most) AND {as_read}
ON CONFLICT (user_id, day) DO UPDATE SET used = usage_days.used + :units
WHERE :most < 0 OR usage_days.used + :units <= :most
RETURNING used, closed_at, (SELECT {balance} FROM credit_balances c WHERE c.user_id = :user_id)
"""  # made of constants; the balance comes along, so that a plain spending is two statements
TEXTS = {
    # (The column itself: SQLite 3.40 answers `closed_at IS NOT NULL` with 1 for a row just inserted without one.)
    "SPEND_DAY": _SPEND.format(as_read=_AS_READ, balance=_BALANCE),
    "SPEND_DAY_BY_KEY": _SPEND.format(as_read=_KEY_AS_READ, balance=_BALANCE),
    # Where nothing has changed since it was proved.
    "SPEND_DAY_AS_PROVED": _SPEND.format(as_read="1 = 1", balance=_BALANCE),
    "CHECK": f"SELECT 1 WHERE {_AS_READ}",
    "CHECK_BY_KEY": f"SELECT 1 WHERE {_KEY_AS_READ}",
    "LOCK_KEY": "SELECT version FROM api_keys WHERE id = :key_id FOR UPDATE",
    "OPEN_DAY": """INSERT INTO usage_days (user_id, day, used) VALUES (:user_id, :day, 0)
        ON CONFLICT (user_id, day) DO NOTHING""",
    "LOCK_DAY": "SELECT used FROM usage_days WHERE user_id = :user_id AND day = :day FOR UPDATE",
    "READ_DAY": "SELECT used FROM usage_days WHERE user_id = :user_id AND day = :day",
    "READ_KEY_DAY": """SELECT COALESCE(SUM(used), 0) FROM usage_details
        WHERE user_id = :user_id AND day = :day AND key_id = :key_id""",
    # A user who moved west may spend on a day that is closed and folded already: its month gets the rest.
    "FOLD_LATE": """INSERT INTO usage_months (user_id, month, used) VALUES (:user_id, :month, :units)
        ON CONFLICT (user_id, month) DO UPDATE SET used = usage_months.used + :units""",
    "NOTE_DETAIL": """INSERT INTO usage_details (user_id, day, key_id, model, used, credits)
        VALUES (:user_id, :day, :key_id, :model, :units, :credits)
        ON CONFLICT (user_id, day, key_id, model) DO UPDATE
        SET used = usage_details.used + :units, credits = usage_details.credits + :credits""",
    "NOTE_MARK": """INSERT INTO usage_warnings (user_id, day, mark, daily_limit, reached_at)
        VALUES (:user_id, :day, :mark, :most, :at) ON CONFLICT (user_id, day, mark) DO NOTHING""",
    "NOTE_KEY_USE": """UPDATE api_keys SET last_used_at = :at, last_used_from = :address, last_used_by = :actor_name
        WHERE id = :key_id""",
    "NOTE_OLD_KEY": """INSERT INTO key_uses (key_id, client_name, address, count, first_at, last_at)
        VALUES (:key_id, :actor_name, :address, 1, :at, :at)
        ON CONFLICT (key_id, client_name, address) DO UPDATE SET count = key_uses.count + 1, last_at = :at""",
    "NOTE_REFUSAL": """INSERT INTO refusals
        (id, user_id, key_id, code, client_name, count, first_at, last_at, first_facts, last_facts)
        VALUES (:refusal_id, :user_id, :key_id, :code, :actor_name, 1, :at, :at, :facts, :facts)
        ON CONFLICT (id) DO UPDATE SET count = refusals.count + 1, last_at = :at, last_facts = :facts""",
    "READ_BALANCE": """SELECT plan_credits, own_credits, plan_month, plan_granted FROM credit_balances
        WHERE user_id = :user_id""",
    "LOCK_BALANCE": """SELECT plan_credits, own_credits, plan_month, plan_granted FROM credit_balances
        WHERE user_id = :user_id FOR UPDATE""",
    "OPEN_BALANCE": """INSERT INTO credit_balances (user_id, plan_credits, plan_granted, own_credits)
        VALUES (:user_id, 0, 0, 0) ON CONFLICT (user_id) DO NOTHING""",
    "WRITE_BALANCE": """UPDATE credit_balances SET plan_credits = :plan_credits, own_credits = :own_credits,
        plan_month = :plan_month, plan_granted = :plan_granted WHERE user_id = :user_id""",
    "NOTE_CREDITS": """INSERT INTO credit_entries
        (id, user_id, kind, amount, balance, reason, actor_kind, actor_name, decision_id, created_at)
        VALUES (:entry_id, :user_id, :kind, :amount, :balance, :reason, :actor_kind, :actor_name, :decision_id, :at)""",
    "GIVE_BACK_DAY": """UPDATE usage_days SET used = CASE WHEN used > :units THEN used - :units ELSE 0 END
        WHERE user_id = :user_id AND day = :day RETURNING used, closed_at""",
    "GIVE_BACK_DETAIL": """UPDATE usage_details
        SET used = CASE WHEN used > :units THEN used - :units ELSE 0 END,
            credits = CASE WHEN credits > :credits THEN credits - :credits ELSE 0 END
        WHERE user_id = :user_id AND day = :day AND key_id = :key_id AND model = :model""",
    "GIVE_BACK_MONTH": """UPDATE usage_months SET used = CASE WHEN used > :units THEN used - :units ELSE 0 END
        WHERE user_id = :user_id AND month = :month""",
    "NOTE_REFUND": """INSERT INTO refunds
        (decision_id, user_id, day, conversations, credits, reason, actor_kind, actor_name, created_at)
        VALUES (:decision_id, :user_id, :day, :units, :credits, :reason, :actor_kind, :actor_name, :at)
        ON CONFLICT (decision_id) DO NOTHING RETURNING decision_id""",
    "OPEN_LEASE": """INSERT INTO leases (id, user_id, key_id, client_id, client_name, day, month, model,
            conversations, plan_credits, own_credits, used_conversations, used_credits, ttl_s, state,
            created_at, expires_at, ends_at)
        VALUES (:lease_id, :user_id, :key_id, :client_id, :actor_name, :day, :month, :model,
            :units, :plan_part, :own_part, 0, 0, :ttl_s, 'open', :at, :expires_at, :ends_at)""",
    "LOCK_LEASE": """SELECT user_id, key_id, client_id, day, month, model, conversations, plan_credits, own_credits,
            used_conversations, used_credits, ttl_s, state, expires_at, ends_at
        FROM leases WHERE id = :lease_id FOR UPDATE""",
    "REPORT_LEASE": """UPDATE leases SET used_conversations = :used, used_credits = :used_credits,
            expires_at = :expires_at, ends_at = :ends_at, state = :state, settled_at = :settled_at
        WHERE id = :lease_id""",
}
# A plain spending as one statement of PostgreSQL, by which it may be a transaction of its own. It leaves alone, and
# answers no row, wherever there is more to do or to say: a mark reached, a closed day, no room, a change since it was
# read.
_UNMARKED = """({used} < :first_mark OR {before} >= :first_mark) AND ({used} < :last_mark OR {before} >= :last_mark)"""
_PLAIN = """
WITH day AS (
    INSERT INTO usage_days (user_id, day, used)
    SELECT :user_id, :day, :units
    WHERE (:most < 0 OR :units <= :most) AND {unmarked_first} AND {as_read} AND {relied}
    ON CONFLICT (user_id, day) DO UPDATE SET used = usage_days.used + :units
    WHERE usage_days.closed_at IS NULL AND (:most < 0 OR usage_days.used + :units <= :most) AND {unmarked}
    RETURNING used
), detail AS (
    INSERT INTO usage_details (user_id, day, key_id, model, used, credits)
    SELECT :user_id, :day, :key_id, :model, :units, 0 FROM day
    ON CONFLICT (user_id, day, key_id, model) DO UPDATE SET used = usage_details.used + :units
)
SELECT day.used, (SELECT {balance} FROM credit_balances c WHERE c.user_id = :user_id), {hurried} FROM day
"""


def _plain(as_read: str) -> str:
    return for_postgres(
        _PLAIN.format(
            as_read=as_read,
            balance=_BALANCE,
            relied=RELIED,
            hurried=HURRIED,
            unmarked=_UNMARKED.format(used="usage_days.used + :units", before="usage_days.used"),
            unmarked_first=_UNMARKED.format(used=":units", before="0"),
        )
    )


PLAIN, PLAIN_BY_KEY = _plain(_AS_READ), _plain(_KEY_AS_READ)
SQLITE, POSTGRES = both(TEXTS)
PLACED = {name: placed(text) for name, text in SQLITE.items()}
