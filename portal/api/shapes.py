"""Answers as the contract has them; ids as orjson writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portal.keys.verify import Answer
    from portal.usage.budget import Budget
    from portal.usage.leases import Settled, Taken
    from portal.usage.spending import Standing
    from portal.usage.verdicts import Verdict


def verdict_shape(verdict: Verdict) -> dict[str, Any]:
    """What every decision says: the code, what is left, and for a refusal when it clears."""
    shape: dict[str, Any] = {
        "valid": verdict.code == "VALID",
        "code": verdict.code,
        "decision_id": verdict.decision_id,
    }
    if verdict.clears_at is not None:
        shape["clears_at"] = verdict.clears_at
    if verdict.retry_after is not None:
        shape["retry_after"] = verdict.retry_after
    if verdict.standing is not None:
        shape |= standing_shape(verdict.standing)
    return shape


def standing_shape(standing: Standing) -> dict[str, Any]:
    """What is left and when it resets."""
    resets_at = standing.resets_at.isoformat()
    shape: dict[str, Any] = {
        "daily": {
            "limit": standing.limit,
            "used": standing.used,
            "remaining": standing.remaining,
            "resets_at": resets_at,
            "time_zone": standing.time_zone,
        },
        "credits": {"remaining": standing.credits},
    }
    if standing.key_limit is not None and standing.key_used is not None:
        shape["key_daily"] = {
            "limit": standing.key_limit,
            "used": standing.key_used,
            "remaining": max(0, standing.key_limit - standing.key_used),
            "resets_at": resets_at,
        }
    return shape


def user_shape(budget: Budget, code: str) -> dict[str, Any]:
    """Whose budget it was; a deleted user has no name."""
    gone = code == "ACCOUNT_DELETED"
    return {"id": budget.user_id, "username": None if gone else budget.username, "plan": budget.plan}


def answer_shape(answer: Answer) -> dict[str, Any]:
    """The answer of verify."""
    shape = verdict_shape(answer.verdict)
    if answer.key is not None:
        shape["key_id"] = answer.key.id
        shape["scopes"] = answer.key.scopes
        shape["user"] = user_shape(answer.key.budget, answer.code)
    return shape


def taken_shape(taken: Taken) -> dict[str, Any]:
    """The answer of a lease; one that was refused has no id."""
    shape = verdict_shape(taken.verdict) | {
        "lease_id": str(taken.lease_id) if taken.lease_id else None,
        "granted": {"conversations": taken.conversations, "credits": taken.credits},
        "expires_at": taken.expires_at.isoformat() if taken.expires_at else None,
    }
    if taken.budget is not None:
        shape["user"] = user_shape(taken.budget, taken.verdict.code)
    return shape


def settled_shape(settled: Settled) -> dict[str, Any]:
    """How a lease stands after a report."""
    return {
        "lease_id": str(settled.lease_id),
        "state": settled.state,
        "used": {"conversations": settled.used[0], "credits": settled.used[1]},
        "returned": {"conversations": settled.returned[0], "credits": settled.returned[1]},
        "expires_at": settled.expires_at.isoformat() if settled.expires_at else None,
    }
