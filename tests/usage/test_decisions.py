"""Decision ids: what they say is what was spent; nobody else can make one, and each has one spelling."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core import settings as current_settings
from portal.core.access import operator_actor
from portal.core.database import transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.core.settings import Settings, load
from portal.usage.decisions import Decision, read_decision, refusal_id, sign_decision
from portal.usage.refunds import refund
from portal.web.frame import Doorward

OLD, NEW = "o" * 40, "n" * 40
UNITS = st.integers(0, 1_000_000)


def under(secret: str, *former: str) -> Settings:
    """Settings with this secret and these former ones."""
    return load({}, folder=Path("/nonexistent"), secret_key=secret, secret_key_fallbacks=list(former))


def made(**values: object) -> Decision:
    """A decision."""
    given = {
        "id": new_id(), "user_id": new_id(), "key_id": UUID(int=0), "day": date(2026, 11, 21), "conversations": 1,
        "plan_credits": 2, "own_credits": 3, "model": "m-1", **values,
    }  # fmt: skip
    return Decision(**given)  # type: ignore[arg-type]  # given as any test likes


@settings(deadline=None, database=None)
@given(
    st.uuids(),
    st.uuids(),
    st.uuids(),
    st.dates(),
    UNITS,
    UNITS,
    UNITS,
    st.text(max_size=80).filter(lambda t: "\0" not in t),
)
def test_what_was_signed_is_read_back(
    id_: UUID, user: UUID, key: UUID, day: date, conversations: int, plan: int, own: int, model: str
) -> None:
    model = model.encode(errors="ignore").decode()
    decision = Decision(id_, user, key, day, conversations, plan, own, model)
    with_secret = under(NEW)
    current_settings.enter(with_secret)
    try:
        text = sign_decision(decision)
        assert read_decision(text) == decision
        assert len(text) <= 600
        assert read_decision(text[:-1]) is None
        assert read_decision(text + "A") is None
    finally:
        current_settings.leave()


def test_a_former_secret_is_known_as_long_as_it_is_named() -> None:
    texts = {}
    for name, present in (("old", under(OLD)), ("new", under(NEW))):
        current_settings.enter(present)
        texts[name] = sign_decision(made())
        current_settings.leave()
    for present, known in ((under(NEW, OLD), {"old", "new"}), (under(NEW), {"new"}), (under(OLD), {"old"})):
        current_settings.enter(present)
        assert {name for name, text in texts.items() if read_decision(text)} == known
        current_settings.leave()


def test_a_decision_tells_when_it_was_made() -> None:
    assert abs(made().made_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_decision_about_somebody_who_is_no_user_is_not_known(app: Doorward) -> None:
    for text in (sign_decision(made()), sign_decision(made(plan_credits=0, own_credits=0))):
        with pytest.raises(NotFound), transaction():
            refund(operator_actor(), text)


def test_a_refusals_id_is_that_of_its_minute_and_looks_like_any_id(app: Doorward) -> None:
    user, key, at = new_id(), new_id(), datetime(2026, 11, 21, 10, 0, 1, tzinfo=UTC)
    first = refusal_id(user, key, "KEY_EXPIRED", at)
    assert first == refusal_id(user, key, "KEY_EXPIRED", at + timedelta(seconds=58))
    others = [
        refusal_id(user, key, "KEY_EXPIRED", at + timedelta(minutes=1)),
        refusal_id(user, key, "KEY_REVOKED", at),
        refusal_id(user, new_id(), "KEY_EXPIRED", at),
        refusal_id(new_id(), key, "KEY_EXPIRED", at),
    ]
    assert len({first, *others}) == 5
    assert (first.version, first.variant) == (8, new_id().variant)
    assert first < others[0]
