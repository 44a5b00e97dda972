"""What is kept is the user's choice, within the plan; what it takes away is said before, and meant."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Invalid
from portal.messages.choosing import OFFERED, choose_keeping, own_choices
from portal.messages.keeping import CHOICES
from portal.messages.purging import purge_message_logs
from portal.usage.models import Plan
from portal.web.frame import Doorward
from tests.messages.stored import keep, left_of
from tests.people import actor_named, make_account

DAY = timedelta(days=1)


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Alice, whose plan keeps 365 days; she talked 40, 20 and 3 days ago, and once more 3 days ago."""
    plus = db.session.scalars(select(Plan.id).where(Plan.name == "plus")).one()
    person = make_account("alice", plan_id=plus)
    for days, talk in ((40, "old"), (20, "middle"), (3, "middle"), (3, "young")):
        keep(person.id, "a lantern", clock.now() - days * DAY, conversation=talk)
    return person


def choose(choice: str, typed: str = "") -> None:
    with transaction():
        choose_keeping(actor_named("alice"), choice, typed_name=typed)


def chosen() -> str:
    return db.session.scalars(select(User.keep_messages).where(User.username == "alice")).one()


def test_every_choice_is_offered() -> None:
    assert sorted(OFFERED) == sorted(CHOICES)


def test_what_each_would_take_is_told_and_taken(alice: Account) -> None:
    told = {one.choice: (one.words_lost, one.talks_lost) for one in own_choices(actor_named("alice")).options}
    assert told == {
        "plan": (0, 0), "365": (0, 0), "30": (1, 0), "7": (2, 0), "metadata": (3, 0), "nothing": (3, 3)
    }  # fmt: skip
    choose("30", "alice")
    assert purge_message_logs().words == 1
    told = {one.choice: (one.words_lost, one.talks_lost) for one in own_choices(actor_named("alice")).options}
    assert told["30"] == (0, 0)
    assert (told["7"], told["metadata"], told["nothing"]) == ((1, 0), (2, 0), (2, 3))


def test_what_goes_by_the_present_choice_already_is_no_loss_by_another(alice: Account) -> None:
    keep(alice.id, "an owl", clock.now() - 400 * DAY, conversation="over")
    assert own_choices(actor_named("alice")).of("nothing").talks_lost == 3
    assert own_choices(actor_named("alice")).of("7").words_lost == 2
    choose("7", "alice")
    assert own_choices(actor_named("alice")).of("7").takes == 0
    assert own_choices(actor_named("alice")).of("metadata").words_lost == 2


def test_what_others_said_is_not_counted(alice: Account) -> None:
    make_account("bob")
    assert {one.takes for one in own_choices(actor_named("bob")).options} == {0}


@pytest.mark.parametrize("typed", ["", "bob", "alic", "alice bob"])
def test_words_are_deleted_for_good_only_with_the_name_typed(alice: Account, typed: str) -> None:
    with pytest.raises(Invalid) as told:
        choose("7", typed)
    assert "words of 2 conversations" in str(told.value.fields["typed_name"])
    with pytest.raises(Invalid) as told:
        choose("nothing", typed)
    assert "deletes 3 conversations" in str(told.value.fields["typed_name"])
    assert chosen() == "plan"
    choose("7", " ALICE ")
    assert chosen() == "7"


def test_what_takes_nothing_away_needs_no_name(alice: Account) -> None:
    choose("365")
    choose("plan")
    assert chosen() == "plan"


def test_a_choice_is_recorded_once_and_when(alice: Account) -> None:
    choose("365")
    choose("365")
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "conversation.keeping_chosen")).one()
    assert (entry.facts, entry.target_id) == ({"from": "plan", "to": "365"}, alice.id)
    changed = db.session.scalars(select(User.keep_changed_at)).one()
    assert changed is not None and clock.now() - changed < timedelta(minutes=5)


def test_nothing_beyond_the_plan_can_be_chosen_but_what_was_chosen_before_may_stay(alice: Account) -> None:
    choose("365")
    with transaction():
        db.session.execute(update(Plan).values(retention_days=30))
    choices = own_choices(actor_named("alice"))
    assert [one.choice for one in choices.options if one.beyond] == ["365"]
    assert choices.of("365").keeping == choices.of("plan").keeping
    choose("365")
    choose("30", "alice")
    with pytest.raises(Invalid) as told:
        choose("365", "alice")
    assert list(told.value.fields) == ["keeping"]
    with pytest.raises(Invalid):
        choose("8", "alice")
    assert chosen() == "30"


def test_a_choice_of_nothing_holds_for_what_is_there_and_for_what_comes(alice: Account) -> None:
    choose("nothing", "alice")
    assert purge_message_logs().logs == 4
    late = keep(alice.id, "a lantern", clock.now())
    assert left_of(late) == "nothing"


def test_only_users_choose(alice: Account) -> None:
    for name in ("tess", "ada"):
        make_account(name)
        with pytest.raises(Forbidden):
            own_choices(actor_named(name))
        with pytest.raises(Forbidden):
            choose_keeping(actor_named(name), "nothing", typed_name=name)
