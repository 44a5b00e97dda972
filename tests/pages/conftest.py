"""A furnished house: one of every object that the address of a page can name."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
from jinja2 import FileSystemBytecodeCache
from PIL import Image
from sqlalchemy import select

from portal.accounts.lifecycle import suspend
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, Picture, StaffMember
from portal.accounts.notices import notify
from portal.accounts.pictures import set_picture
from portal.audit.models import AuditEntry
from portal.clients.models import ServiceClient
from portal.core import clock, crypto
from portal.core.access import operator_actor
from portal.core.database import db, dialect_name, transaction
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from portal.keys.models import ApiKey
from portal.mail.models import OutboxMail
from portal.messages.export_files import EXPORT, OWN_DATA
from portal.messages.export_rows import ExportPlan
from portal.messages.models import Conversation, MessageLog, QuarantinedRecord
from portal.messages.reading import LogFilter
from portal.outside.models import ExternalIdentity, Provider
from portal.outside.providers import place_of
from portal.privacy.deletion import delete_user
from portal.prompts.models import Prompt
from portal.signin.models import Passkey, SignInNetwork, SignInSession
from portal.signin.sessions import begin_session
from portal.support.asking import ask_for_help
from portal.support.models import Note
from portal.support.notes import add_note
from portal.tokens.families import begin_family
from portal.tokens.models import TokenFamily
from portal.usage.models import Lease, Refusal
from portal.usage.plans import default_plan
from portal.web.frame import Doorward
from portal.work.long_work import begin_work
from tests.conftest import (
    DATABASES,
    Machine,
    fresh_database,
    machines_of,
    make_key,
    new_database,
    running_app,
    settings_for,
    signed_in,
)
from tests.people import actor_named, make_account
from tests.visitor import Visitor

House = dict[str, UUID | str]


@pytest.fixture
def browser(app: Doorward) -> Callable[[str], Visitor]:
    """One more browser in which somebody who is there already signs in; "nobody" does not."""

    def enter(name: str) -> Visitor:
        return Visitor(app.test_client()) if name == "nobody" else signed_in(app, name)

    return enter


@pytest.fixture
def talk(machine: Callable[..., Machine]) -> Callable[..., None]:
    """Let an exchange be logged, as a service does, and flushed: `talk("bob", "Where is my order?")`."""
    return talk_through(machine)


def talk_through(machine: Callable[..., Machine]) -> Callable[..., None]:
    """What lets an exchange be logged."""
    pusher = machine("logs:write", name="pusher")

    def say(username: str, prompt: str, response: str = "Of course.", **fields: object) -> None:
        said = {"username": username, "model": "m-1", "prompt": prompt, "response": response, **fields}
        assert pusher.post("/message-logs", said).status_code == 202
        run = run_job("flush_message_logs", by_hand=True)
        assert run is not None
        assert run.outcome == "done", run.summary

    return say


def make_staff(name: str, *, state: str, level: int = 1) -> StaffMember:
    """A staff member besides Tess, Theo and Tara."""
    names = {"username": name, "username_canonical": name, "email": f"{name}@example.org"}
    seen = {"created_at": clock.now(), "last_seen_at": clock.now()}
    member = StaffMember(id=new_id(), **names, email_canonical=names["email"], state=state, level=level, **seen)
    with transaction():
        db.session.add(member)
    return member


def refuse(person: Account) -> UUID:
    """A refused call of a person, and a lease of theirs that was lost: both have the id that is answered."""
    now, same = clock.now(), new_id()
    facts = {"asked": {"conversations": 1, "credits": 0}, "limit": 100, "used": 100, "remaining": 0}
    shared = {"user_id": person.id, "key_id": UUID(int=0), "client_name": "gate"}
    seen = {"first_at": now, "last_at": now, "first_facts": facts, "last_facts": facts, "count": 1}
    spent = {"day": now.date(), "month": now.date().replace(day=1), "conversations": 5, "ttl_s": 60, "state": "lost"}
    ends = {"created_at": now, "expires_at": now, "ends_at": now, "plan_credits": 0, "own_credits": 0}
    with transaction():
        db.session.add(Refusal(id=same, code="DAILY_LIMIT_REACHED", **shared, **seen))
        db.session.add(Lease(id=same, **shared, **spent, **ends))
    return same


def keep_prompt(person: Account) -> UUID:
    """A prompt that a person keeps."""
    now = clock.now()
    prompt = Prompt(id=new_id(), user_id=person.id, title="a prompt", content="x", created_at=now, updated_at=now)
    with transaction():
        db.session.add(prompt)
    return prompt.id


def keep_passkey(person: Account) -> UUID:
    """A passkey of a person; the account does not know of it, so that a password still opens it alone."""
    facts = {"public_key": b"", "sign_count": 0, "name": f"{person.username}'s phone", "transports": []}
    made = Passkey(id=new_id(), account_id=person.id, credential_id=person.id.bytes, created_at=clock.now(), **facts)
    with transaction():
        db.session.add(made)
    return made.id


def set_aside_record(person: Account) -> UUID:
    """A record of a person that could not be stored; what was said in it is a canary."""
    line = f'{{"messages": "{person.username} said this aside"}}'
    record_id, facts = new_id(), {"reason": "damaged line", "source_id": "r-1", "user_id": person.id}
    with transaction():
        db.session.add(QuarantinedRecord(id=record_id, at=clock.now(), line=line, **facts))
    return record_id


def write_note(person: Account) -> UUID:
    """A note of an admin on a person's record."""
    with transaction():
        add_note(actor_named("ada"), person.id, f"{person.username} likes tea.")
    return db.session.scalars(select(Note.id).where(Note.user_id == person.id)).one()


def ask_for_export(person: Account) -> UUID:
    """A large export that a person asked for and that nobody has begun to write."""
    plan = ExportPlan(person.id, "csv", LogFilter(), 0)
    arguments = {**plan.as_arguments(), "reason": None, "case": None}
    with transaction():
        return begin_work(actor_named(person.username), EXPORT, arguments, epoch=person.epoch).id


def ask_for_archive(person: Account) -> UUID:
    """An archive of all that is held about a person, that nobody has begun to write."""
    with transaction():
        return begin_work(actor_named(person.username), OWN_DATA, {}, epoch=person.epoch).id


def ask_desk(person: Account) -> str:
    """A case that a person opened and that waits in the queue."""
    with transaction():
        return ask_for_help(actor_named(person.username), subject="help", words=f"{person.username} asks.").number


def draw_picture(person: Account) -> UUID:
    """A picture that a person sent."""
    drawn = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 120, 40)).save(drawn, "PNG")
    with transaction():
        set_picture(actor_named(person.username), drawn.getvalue())
    return db.session.scalars(select(Picture.id).where(Picture.account_id == person.id)).one()


def give_up_mail(person: Account) -> UUID:
    """A mail to a person that the server refused for good."""
    with transaction():
        notify(person, "Something was changed.")
        db.session.flush()
        mail = db.session.scalars(select(OutboxMail).where(OutboxMail.account_id == person.id)).all()[-1]
        mail.state, mail.attempts, mail.last_error = "given_up", 3, "550 no such box"
    return mail.id


def make_provider(slug: str) -> UUID:
    """A sign-in provider where nobody answers."""
    same = new_id()
    sealed = crypto.seal({"secret": "s"}, place=place_of(same))
    client = {"client_id": "doorward", "sealed_secret": sealed, "scopes": ["openid"], "domains": []}
    with transaction():
        db.session.add(
            Provider(
                id=same,
                slug=slug,
                name=slug.capitalize(),
                issuer=f"https://127.0.0.1:9/{slug}",
                created_at=clock.now(),
                **client,
            )
        )
    return same


def link_identity(person: Account) -> UUID:
    """Somebody at that provider who may sign in as this person."""
    identity = ExternalIdentity(
        id=new_id(),
        account_id=person.id,
        provider="acme",
        issuer="https://127.0.0.1:9/acme",
        subject=person.username,
        created_at=clock.now(),
    )
    with transaction():
        db.session.add(identity)
    return identity.id


def things_of(person: Account) -> House:
    """A person's key, conversation, log, session and program."""
    found: House = {}
    for name, owner, thing in (
        ("key", ApiKey.user_id, ApiKey.id),
        ("conversation", Conversation.user_id, Conversation.id),
        ("log", MessageLog.user_id, MessageLog.id),
        ("session", SignInSession.account_id, SignInSession.id),
        ("family", TokenFamily.account_id, TokenFamily.id),
    ):
        found[f"{person.username}'s {name}"] = db.session.scalars(select(thing).where(owner == person.id)).one()
    return found


@dataclass(frozen=True)
class Furnished:
    """A house to copy: its database, its DATA_DIR, and the ids in it."""

    database_url: str
    data_dir: Path
    things: House


@pytest.fixture(scope="session")
def furnished(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    compiled_templates: FileSystemBytecodeCache,
) -> Callable[[str], Furnished]:
    """The furnished house on this sort of database, built when it is first asked for: a test takes a copy."""

    @cache
    def build(kind: str) -> Furnished:
        folder = tmp_path_factory.mktemp("furnished")
        settings = settings_for(new_database(request, kind, folder), folder, {})
        with running_app(settings, compiled_templates) as app:
            machine = machines_of(app)
            things = furnish(machine, make_key, talk_through(machine))
        return Furnished(settings.database_url, settings.data_dir, things)

    return build


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of each sort; that of the house for whoever asks for it, with its DATA_DIR."""
    like = None
    if "house" in request.fixturenames:
        source: Furnished = request.getfixturevalue("furnished")(request.param)
        shutil.copytree(source.data_dir, tmp_path / "data")
        like = source.database_url
    with fresh_database(request, request.param, tmp_path, like) as url:
        yield url


@pytest.fixture
def house(app: Doorward, furnished: Callable[[str], Furnished]) -> House:
    """The ids of everybody and everything in the furnished house, which is this test's own copy."""
    return dict(furnished(dialect_name()).things)


def furnish(machine: Callable[..., Machine], key_of: Callable[..., str], talk: Callable[..., None]) -> House:
    """Make everybody and everything: Alice and Bob with a key, a conversation and a session each; users and
    staff in every state; a client, a plan, a job; links not yet used. Answers their ids."""
    people: dict[str, Account] = {
        name: make_account(name) for name in ("alice", "bob", "kay", "dora", "tess", "theo", "tara", "max", "ada")
    }
    people |= {"sid": make_account("sid", state="suspended"), "ivy": make_account("ivy", state="invited")}
    people["ida"] = make_account("ida", state="invited")
    states = {"tim": "active", "tom": "suspended", "ted": "invited"}
    people |= {name: make_staff(name, state=state) for name, state in states.items()}
    machine(name="old gate")
    things: House = {name: person.id for name, person in people.items()}
    for name in ("alice", "bob"):
        key_of(people[name])
        talk(name, f"What does {name} want?", f"Tea, {name} said.", metadata={"note": f"a note on {name}"})
        with transaction():
            begin_session(people[name], address="203.0.113.9", device="Firefox/140.0 Linux")
            begin_family(people[name], address="203.0.113.9", device="Ledger/3.1", method="password", proven=True)
        things |= things_of(people[name])
        things[f"{name}'s refusal"] = refuse(people[name])
        things[f"{name}'s passkey"] = keep_passkey(people[name])
        things[f"{name}'s prompt"] = keep_prompt(people[name])
        things[f"{name}'s archive"] = ask_for_archive(people[name])
        things[f"{name}'s picture"] = draw_picture(people[name])
        things[f"{name}'s export"] = ask_for_export(people[name])
        things[f"{name}'s case"] = ask_desk(people[name])
    with transaction():
        delete_user(operator_actor().because("asked for it"), people["dora"].id, typed_name="dora")
        for purpose, name in (
            (Purpose.CONFIRM, "bob"),
            (Purpose.RESET, "tara"),
            (Purpose.INVITATION, "ida"),
            (Purpose.NOT_ME, "kay"),
        ):
            things[purpose.value] = make_link(purpose, people[name]).rpartition("/")[2]
        for purpose, name in ((Purpose.NEW_EMAIL, "bob"), (Purpose.KEEP_EMAIL, "kay")):
            facts = dict.fromkeys(("email", "canonical"), f"{name}@other.example")
            things[purpose.value] = make_link(purpose, people[name], facts).rpartition("/")[2]
        loopback = SignInNetwork(id=new_id(), kind="staff", network="127.0.0.0/8", created_at=clock.now())
        db.session.add(loopback)
    with transaction():
        suspend(operator_actor().because("a mistake"), make_account("uma").id)
    things["suspension"] = db.session.scalars(
        select(AuditEntry.id).where(AuditEntry.event == "account.suspended")
    ).one()
    things["field"] = "email"
    things["network"] = loopback.id
    things["entry"] = db.session.scalars(select(AuditEntry.id).order_by(AuditEntry.at).limit(1)).one()
    things |= {"mail": give_up_mail(people["alice"]), "letter": "reset"}
    things |= {"slug": "acme", "provider": make_provider("acme"), "other provider": make_provider("other")}
    things["alice's identity"] = link_identity(people["alice"])
    things["set aside"] = set_aside_record(people["bob"])
    things["bob's note"] = write_note(people["bob"])
    client = db.session.scalars(select(ServiceClient.id).where(ServiceClient.name == "old gate")).one()
    return things | {
        "client": client,
        "plan": default_plan().id,
        "job": "reset_daily_limits",
        "file": "icon.svg",
        "page": "usage",
    }
