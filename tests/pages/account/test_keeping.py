"""/account/conversations/keeping: what is kept, what a choice takes away, and what the desk sees of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.accounts.models import User
from portal.core import clock
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from portal.usage.models import Plan
from tests.messages.stored import keep
from tests.visitor import SeenPage, Visitor

HERE = "/account/conversations/keeping"


@pytest.fixture
def alice(person: Callable[..., Visitor]) -> Visitor:
    """Alice, whose plan keeps 30 days, and who talked 10 days ago."""
    visitor = person("alice")
    user_id = db.session.scalars(select(User.id)).one()
    keep(user_id, "a nightjar sang", clock.now() - timedelta(days=10))
    return visitor


def disabled(page: SeenPage) -> list[str]:
    """The choices that cannot be made."""
    return [one.get("value", "") for one in page.tree.iter("input") if one.get("disabled") is not None]


def chosen(page: SeenPage) -> str:
    """The choice that is marked."""
    return next(one.get("value", "") for one in page.tree.iter("input") if one.get("checked") is not None)


def test_the_page_is_found_and_says_what_holds_and_what_each_would_take(alice: Visitor) -> None:
    assert HERE in alice.get("/account/conversations").links()
    page = alice.get(HERE)
    assert (chosen(page), disabled(page)) == ("plan", ["365"])
    for words in (
        "Now: for 30 days.",
        "As long as your plan keeps them: 30 days",
        "Your plan does not keep them for so long.",
        "Within the hour 1 conversation of yours loses words.",
        "Within the hour 1 conversation of yours is deleted.",
        "Nothing that is kept now is deleted by it today.",
    ):
        assert words in page.text


def test_a_choice_that_deletes_asks_for_the_name_and_then_does(alice: Visitor) -> None:
    page = alice.send(alice.get(HERE), {"keeping": "7"}, to=HERE)
    assert page.status == 422
    assert "This deletes words of 1 conversation for good. Type your username if you mean it." in page.text
    assert chosen(page) == "7"
    page = alice.send(page, {"keeping": "7", "typed_name": "bob"}, to=HERE)
    assert page.status == 422
    page = alice.send(page, {"keeping": "7", "typed_name": "alice"}, to=HERE)
    assert "Saved. What is not kept any more is deleted within the hour." in page.text
    assert "Now: words for 7 days, the rest for 30." in page.text
    assert "a nightjar" in alice.get("/account/conversations").text
    run_job("purge_message_logs", by_hand=True)
    page = alice.get("/account/conversations")
    assert "nightjar" not in page.text
    assert "Nothing found" in alice.get("/account/conversations?q=nightjar").text


def test_what_cannot_be_chosen_is_refused_beside_the_field(alice: Visitor) -> None:
    for choice in ("365", "8", ""):
        page = alice.send(alice.get(HERE), {"keeping": choice}, to=HERE)
        assert page.status == 422
        assert "Please put this right:" in page.text


def test_a_plan_that_keeps_nothing_says_so(alice: Visitor) -> None:
    with transaction():
        db.session.execute(update(Plan).values(retention_days=0))
    page = alice.get(HERE)
    assert page.status == 200
    assert "Now: nothing is kept." in page.text


def test_the_desk_and_the_console_see_what_a_user_keeps(alice: Visitor, person: Callable[..., Visitor]) -> None:
    user_id = db.session.scalars(select(User.id)).one()
    with transaction():
        db.session.execute(update(User).where(User.account_id == user_id).values(keep_messages="metadata"))
    for name, address in (("tess", "staff"), ("ada", "admin")):
        page = person(name).get(f"/{address}/users/{user_id}")
        assert "Conversations kept" in page.text
        assert "no words; the rest for 30 days" in page.text
