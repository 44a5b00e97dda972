"""The demo data keeps every invariant that real data keeps, and its credentials open what they say."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from portal.accounts.days import Calendar, usage_day
from portal.accounts.directory import UserFilter, list_users
from portal.accounts.models import Account, Kind, State, User
from portal.accounts.names import reserved_digest, search_text_of, zones
from portal.audit.models import AuditEntry
from portal.clients.service import client_of_token
from portal.core import access, clock
from portal.core.access import operator_actor
from portal.core.actor import Actor, ActorKind, nobody
from portal.core.database import db, dialect_name, transaction
from portal.core.text import canonical_email, canonical_username
from portal.demo.cultures import CULTURES
from portal.demo.naming import Namer
from portal.demo.people import ascii_of, draw_of, draw_person
from portal.demo.seed import seed_demo
from portal.demo.talk import draw_talk, written_talks
from portal.keys.models import ApiKey
from portal.keys.verify import Question, verify
from portal.messages.models import Conversation, MessageContent, MessageLog, ModelDay
from portal.messages.purging import purge_message_logs
from portal.messages.reading import LogFilter, own_conversation, own_conversations, own_hits, search_logs
from portal.signin.entry import sign_in
from portal.signin.sessions import actor_of
from portal.support.models import SupportCase
from portal.usage.models import CreditBalance, CreditEntry, Plan, UsageDay, UsageDetail, UsageMonth
from portal.usage.reset import close_finished_days

if TYPE_CHECKING:
    from portal.web.frame import Doorward

USERS, LOGS = 300, 160


@pytest.fixture
def made(app: Doorward) -> dict[str, Any]:
    """The credentials of a small demo on an empty database."""
    return seed_demo(users=USERS, logs=LOGS, seed=7)


def _enter(name: str, password: str) -> Account:
    """Sign in as a request does."""
    with transaction():
        entered = sign_in(nobody(), name, password)
        return entered.account


def _count(model: type[Any], *conditions: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


def test_credentials_have_the_promised_shape(made: dict[str, Any]) -> None:
    assert set(made) == {"admin", "staff", "users", "client"}
    assert set(made["admin"]) == {"username", "password"}
    assert [(one["username"], one["level"]) for one in made["staff"]] == [("tess", 1), ("theo", 2), ("tara", 3)]
    assert set(made["client"]) == {"id", "token"}
    assert all(set(one) == {"id", "username", "email", "password", "api_key"} for one in made["users"])
    assert all(type(value) is str for one in made["users"] for value in one.values())
    active = _count(User, User.state == State.ACTIVE.value)
    assert len(made["users"]) == len({one["username"] for one in made["users"]}) == active > USERS * 0.8


def test_listed_people_can_sign_in(made: dict[str, Any]) -> None:
    user = made["users"][0]
    for name in (user["username"], user["email"]):
        assert str(_enter(name, user["password"]).id) == user["id"]
    admin = _enter(made["admin"]["username"], made["admin"]["password"])
    assert admin.kind == Kind.ADMIN and admin.capabilities >= frozenset().union(*access.PERMISSIONS.values())
    for one in made["staff"]:
        account = _enter(one["username"], one["password"])
        assert account.kind == Kind.STAFF and account.capabilities == access.of_level(one["level"])


def test_listed_keys_and_the_client_work(made: dict[str, Any]) -> None:
    client = client_of_token(made["client"]["token"])
    assert client is not None
    assert str(client.id) == made["client"]["id"]
    assert set(client.scopes) == set(access.SCOPES)
    actor = Actor(ActorKind.CLIENT, client.name, id=client.id, capabilities=access.of_scopes(client.scopes))
    codes = []
    for one in made["users"]:
        answers = verify(actor, [Question(one["api_key"], model="m-1")], face=lambda _: b"")
        assert isinstance(answers, list)
        codes += [answer.code for answer in answers]
    assert set(codes[:20]) == {"VALID"}
    assert set(codes) <= {"VALID", "DAILY_LIMIT_REACHED"}
    assert codes.count("VALID") > 0.9 * len(codes)


def test_people_are_such_as_could_have_registered(made: dict[str, Any]) -> None:
    now, known = clock.now(), set(zones())
    users = db.session.scalars(select(User)).all()
    assert len(users) == USERS
    for user in users:
        assert canonical_username(user.username) == user.username_canonical == user.username
        assert user.email is not None and canonical_email(user.email) == user.email_canonical
        assert user.email.rpartition("@")[2] in {"example.org", "example.com", "example.net"}
        assert user.search_text == search_text_of(user.username, user.email, user.display_name)
        assert user.time_zone in known
        assert now - timedelta(days=731) < user.created_at <= user.last_seen_at <= now
        assert (user.password_hash is None) == (user.state == State.INVITED)
        assert user.email_verified_at is None or user.created_at <= user.email_verified_at <= now
    plans = {row.id: row.name for row in db.session.scalars(select(Plan))}
    assert {"free", "plus", "studio", "team"} <= set(plans.values())
    by_plan = {name: sum(plans[user.plan_id] == name for user in users if user.plan_id) for name in plans.values()}
    assert by_plan["free"] > by_plan["plus"] > by_plan["team"] >= 0
    states = {user.state for user in users}
    assert states == {State.ACTIVE, State.SUSPENDED, State.INVITED}
    assert sum(user.state == State.ACTIVE for user in users) > 0.8 * USERS


def test_usage_adds_up(made: dict[str, Any]) -> None:
    now = clock.now()
    zone = dict(db.session.execute(select(Account.id, Account.time_zone)).all())
    limits = dict(
        db.session.execute(
            select(User.id, func.coalesce(User.daily_limit_override, Plan.daily_limit)).join(
                Plan, Plan.id == User.plan_id
            )
        ).all()
    )
    days = db.session.scalars(select(UsageDay)).all()
    assert len({day.user_id for day in days}) > USERS // 3
    months: dict[Any, int] = defaultdict(int)
    for day in days:
        today = usage_day(Calendar(zone[day.user_id]), now)
        assert today - timedelta(days=60) < day.day <= today
        assert (day.closed_at is None) == (day.day == today)
        assert day.closed_at is None or day.closed_at <= now
        assert 0 < day.used <= (limits[day.user_id] or 10**6)
        if day.closed_at is not None:
            months[day.user_id, day.day.replace(day=1)] += day.used
    assert months == {(row.user_id, row.month): row.used for row in db.session.scalars(select(UsageMonth))}
    assert close_finished_days() == 0
    details: dict[Any, int] = defaultdict(int)
    owners = dict(db.session.execute(select(ApiKey.id, ApiKey.user_id)).all())
    for detail in db.session.scalars(select(UsageDetail)):
        assert owners[detail.key_id] == detail.user_id
        details[detail.user_id, detail.day] += detail.used
    assert details == {(day.user_id, day.day): day.used for day in days}


def test_balances_are_what_their_ledgers_say(made: dict[str, Any]) -> None:
    entries: dict[Any, list[CreditEntry]] = defaultdict(list)
    for entry in db.session.scalars(select(CreditEntry).order_by(CreditEntry.created_at, CreditEntry.id)):
        entries[entry.user_id].append(entry)
    balances = db.session.scalars(select(CreditBalance)).all()
    assert len(balances) == USERS
    assert any(balance.own_credits for balance in balances) and any(balance.plan_credits for balance in balances)
    for balance in balances:
        stood = 0
        for entry in entries[balance.user_id]:
            stood += entry.amount
            assert entry.balance == stood >= 0
        assert stood == balance.plan_credits + balance.own_credits
    spent = -sum(entry.amount for rows in entries.values() for entry in rows if entry.kind == "spend")
    assert spent > 0
    assert spent == db.session.scalar(select(func.sum(UsageDetail.credits)))


def test_conversations_stand_as_the_flush_leaves_them(made: dict[str, Any]) -> None:
    logs = db.session.scalars(select(MessageLog)).all()
    assert len(logs) == LOGS == _count(MessageContent)
    assert len({log.source_id for log in logs}) == LOGS
    assert all(len(log.digest) == 16 for log in logs)
    assert all(log.at <= log.received_at <= clock.now() for log in logs)
    by_conversation: dict[Any, list[MessageLog]] = defaultdict(list)
    for log in logs:
        by_conversation[log.conversation_id].append(log)
    conversations = db.session.scalars(select(Conversation)).all()
    assert len(conversations) == len(by_conversation) < LOGS
    for one in conversations:
        mine = by_conversation[one.id]
        assert one.exchanges == len(mine)
        assert (one.started_at, one.last_at) == (min(log.at for log in mine), max(log.at for log in mine))
        assert {(log.user_id, log.client_id) for log in mine} == {(one.user_id, one.client_id)}
        assert one.title
    assert db.session.scalar(select(func.sum(ModelDay.logs))) == LOGS
    tokens = sum(log.total_tokens or 0 for log in logs)
    assert db.session.scalar(select(func.sum(ModelDay.tokens))) == tokens


def test_conversations_are_read_and_found(made: dict[str, Any]) -> None:
    owner_id = db.session.scalar(select(MessageLog.user_id).order_by(MessageLog.number).limit(1))
    owner = db.session.get_one(User, owner_id)
    actor = actor_of(owner, address=None, request_id=None)
    found = own_conversations(actor).items[0]
    _, exchanges = own_conversation(actor, found.id)
    assert len(exchanges) == found.exchanges
    assert all([said["role"] for said in one.messages] == ["user", "assistant"] for one in exchanges)
    word = max(exchanges[0].messages[0]["content"].replace("-", " ").split(), key=len).strip('.,?!"()')
    assert found.id in {one.talk.id for one in own_hits(actor, LogFilter(search=word)).items}
    assert search_logs(operator_actor().because("a look"), LogFilter(search=word), what="tool").items


def test_users_are_found_by_part_of_a_name(made: dict[str, Any]) -> None:
    user = made["users"][3]
    hits = list_users(operator_actor(), UserFilter(search=user["username"][1:])).items
    assert user["id"] in {str(hit.id) for hit in hits}
    if dialect_name() == "sqlite":
        with transaction():
            db.session.execute(text("INSERT INTO account_search (account_search) VALUES ('integrity-check')"))


def test_the_record_tells_of_it(made: dict[str, Any]) -> None:
    seeded = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "users.seeded")).all()
    assert [entry.facts for entry in seeded] == [{"users": USERS, "logs": LOGS}]
    assert _count(AuditEntry, AuditEntry.event == "sign_in.done") > USERS // 2
    assert _count(AuditEntry, AuditEntry.event == "sign_in.failed", AuditEntry.result == "refused") > 0


def test_somebody_waits_at_the_desk(made: dict[str, Any]) -> None:
    waiting = db.session.execute(select(SupportCase.level, SupportCase.subject).order_by(SupportCase.id)).all()
    assert waiting == [(1, "help"), (3, "more"), (1, "help"), (1, "more")]


def test_a_second_run_numbers_what_is_taken(made: dict[str, Any]) -> None:
    again = seed_demo(users=USERS, logs=20, seed=7)
    assert again["admin"]["username"] == "ada2"
    assert [one["username"] for one in again["staff"]] == ["tess2", "theo2", "tara2"]
    assert again["client"]["id"] != made["client"]["id"]
    assert _count(User) == 2 * USERS
    first, second = made["users"][0], again["users"][0]
    assert second["username"].rstrip("0123456789") == first["username"].rstrip("0123456789")
    for one in (first, second):
        assert str(_enter(one["username"], one["password"]).id) == one["id"]
    seed_demo(users=20, logs=5, seed=8)
    assert _count(MessageLog) == LOGS + 25


def test_one_user_alone_can_talk(app: Doorward) -> None:
    for number in range(6):
        made = seed_demo(users=1, logs=3, seed=number)
        assert len(made["users"]) == 1
    assert _count(MessageLog) == 18


def test_names_of_deleted_people_stay_reserved(app: Doorward) -> None:
    with transaction():
        db.session.execute(
            text("INSERT INTO reserved_names (digest, account_id) VALUES (:digest, :id)"),
            {"digest": reserved_digest("email", "tess@example.org"), "id": "0" * 32},
        )
    assert seed_demo(users=1, logs=0, seed=1)["staff"][0]["username"] == "tess2"


def test_the_same_seed_draws_the_same() -> None:
    now = clock.now()
    first, second, other = ([draw_person(draw_of(seed, at), now) for at in range(50)] for seed in (1, 1, 2))
    assert first == second != other
    assert [draw_talk(draw_of(1, at), most=9) for at in range(20)] == [
        draw_talk(draw_of(1, at), most=9) for at in range(20)
    ]


def test_every_written_word_is_fit_to_use() -> None:
    assert len(CULTURES) > 20
    for culture in CULTURES:
        assert set(culture.zones) <= set(zones())
        for name in culture.given + culture.family:
            assert len(ascii_of(name)) >= 2, name
    talks = written_talks()
    assert len(talks) > 20 and all(len(exchanges) >= 3 for exchanges in talks.values())
    for at in range(200):
        for said in draw_talk(draw_of(3, at), most=9).said:
            assert "{" not in said.question + said.answer and said.question and said.answer


def test_a_name_taken_meanwhile_is_numbered(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    honest, asked = Namer._held, 0

    def blind_once(self: Namer, pairs: Any) -> set[str]:
        nonlocal asked
        asked += 1
        return set() if asked == 3 else honest(self, pairs)  # 1 and 2 are for the admin and staff

    monkeypatch.setattr(Namer, "_held", blind_once)
    again = seed_demo(users=10, logs=0, seed=7)
    assert again["users"][0]["username"] != made["users"][0]["username"]
    assert _count(User) == USERS + 10


def test_the_first_purge_takes_nothing_of_it(made: dict[str, Any]) -> None:
    assert str(purge_message_logs()) == "purged the words of 0, whole logs 0, quarantined 0, openings 0"
