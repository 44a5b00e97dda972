"""Canaries in every masked field of a user, and in every secret: nothing that a level can fetch gives one away.

The routes come from the url map, their objects from the furnished house: what is added is searched too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from sqlalchemy import select, update

from portal.accounts.models import Account, OneTimeLink
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import record
from portal.core import clock
from portal.core.access import SCOPES, Capability
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.keys.models import ApiKey, KeyUse
from portal.outside.models import ExternalIdentity
from portal.signin.models import Authenticator, Passkey, RecoveryCode, SignInSession
from portal.support.handing import hand_to_person
from portal.support.models import SupportCase
from portal.support.viewing import begin_viewing
from portal.usage.models import Refusal
from portal.web.frame import Doorward
from portal.web.view_pages import PAGES
from tests.api.callers import token_of
from tests.conftest import Machine, signed_in
from tests.letters import letters
from tests.pages.conftest import House
from tests.pages.test_access import address_of, routes_of
from tests.people import acting, actor_named, make_account
from tests.visitor import Visitor

# Parts of an e-mail and of an address that the masks leave out.
EMAIL, ADDRESS = "estrel", "51.100.77"
PEOPLE = ("alice", "bob")


def person_of(name: str) -> Account:
    return db.session.scalars(select(Account).where(Account.username_canonical == name)).one()


def stain(name: str) -> set[str]:
    """Put the canaries into all that is held of this person. Answers their secrets, in every form they could take."""
    person, address = person_of(name), "198.51.100.77"
    email = f"{name}-kestrel@kestrel.example.org"
    own = {"account_id": person.id}
    raw = f"{name} digest canary, 32 bytes!!!!!!"[:32].encode()
    key_id = db.session.scalars(select(ApiKey.id).where(ApiKey.user_id == person.id)).one()
    numbers = {"address": address, "networks": [f"{address}/32"]}
    with transaction():
        for statement in (
            update(Account)
            .where(Account.id == person.id)
            .values(email=email, email_canonical=email, search_text=f"{name} {email} {name}"),
            update(SignInSession).where(SignInSession.account_id == person.id).values(address=address, digest=raw),
            update(ApiKey)
            .where(ApiKey.id == key_id)
            .values(last_used_from=address, last_used_at=clock.now(), networks=[f"{address}/32"], digest=raw),
            update(ExternalIdentity).where(ExternalIdentity.account_id == person.id).values(email=email),
            update(Passkey).where(Passkey.account_id == person.id).values(public_key=raw),
            update(Refusal).where(Refusal.user_id == person.id).values(first_facts=numbers, last_facts=numbers),
            update(AuditEntry).where(AuditEntry.actor_id == person.id).values(address=address),
        ):
            db.session.execute(statement.execution_options(synchronize_session=False))
        now = clock.now()
        uses = {"client_name": "gate", "address": address, "count": 1, "first_at": now, "last_at": now}
        db.session.add(KeyUse(key_id=key_id, **uses))
        db.session.add(Authenticator(**own, sealed_seed=f"{name}-sealed-seed", created_at=now, confirmed_at=now))
        db.session.add(RecoveryCode(**own, id=new_id(), digest=raw[::-1], created_at=now))
    db.session.expire_all()
    who = acting(name, person_of(name))
    with transaction():
        record(who, events.NOT_ME_SAID, None, {"address": address})
        record(who, events.SIGNED_IN, None, {"method": "password"})
    entries = update(AuditEntry).where(AuditEntry.actor_id == person.id).values(address=address)
    with transaction():
        db.session.execute(entries.execution_options(synchronize_session=False))
    links = db.session.scalars(select(OneTimeLink.digest).where(OneTimeLink.account_id == person.id)).all()
    return {
        person_of(name).password_hash or "",
        f"{name}-sealed-seed",
        *(form for secret in (raw, raw[::-1], *links) for form in forms_of(secret)),
    }


def forms_of(secret: bytes | str) -> set[str]:
    """How a digest could be written in an answer."""
    if isinstance(secret, str):
        return {secret}
    plain = {secret.decode()} if secret.isascii() else set()
    return plain | {secret.hex(), base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()}


def addresses(app: Doorward, top: str, house: House) -> Iterable[str]:
    """Every address below `top` that can be fetched, with Alice's and Bob's objects."""
    for method, route in routes_of(app):
        if method == "GET" and (route == top or route.startswith(f"{top}/")):
            pages = [{"page": page} for page in PAGES] if "<page>" in route else [{}]
            for page in pages:
                yield address_of(route, {**house, **page})


def leaks(visitor: Visitor, found: Iterable[str], canaries: Iterable[str]) -> tuple[set[tuple[str, str]], int]:
    """(address, canary) of whatever gives one away, and how many pages were shown."""
    leaked, shown, searched = set(), 0, tuple(canaries)
    for address in found:
        answer = visitor.get(address, follow=False)
        shown += answer.status == 200
        text = answer.response.get_data().decode("utf-8", "replace") + str(answer.response.headers)
        answer.response.close()
        leaked |= {(address, canary) for canary in searched if canary in text}
    return leaked, shown


def program_of(app: Doorward, name: str) -> Visitor:
    """A program that calls with an access token of this person."""
    program = Visitor(app.test_client())
    program.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token_of(name)}"
    return program


def sent(visitor: Visitor, address: str, fields: dict[str, Any]) -> str:
    """The file that a form answers with."""
    answer = visitor.send(visitor.get(address), fields)
    assert answer.status == 200, answer.path
    return answer.response.get_data(as_text=True)


def test_no_level_is_given_what_it_sees_masked_nor_anybody_a_secret(
    app: Doorward, house: House, machine: Callable[..., Machine]
) -> None:
    secrets = stain("alice") | stain("bob")
    assert len(secrets) > 8
    masked = {EMAIL, ADDRESS}
    for name in ("tess", "theo", "tara"):
        visitor = signed_in(app, name)
        for person in PEOPLE:
            who = acting(name, person_of(person))
            if who.may(Capability.USER_VIEW_AS):
                with transaction():
                    begin_viewing(who, person_of(person).id)
        leaked, shown = leaks(visitor, addresses(app, "/staff", house), masked | secrets)
        assert not leaked, (name, leaked)
        assert shown > 10, name
        program = program_of(app, name)
        for person in PEOPLE:
            program.client.environ_base["HTTP_X_CASE"] = acting(name, person_of(person)).case or ""
            places = [f"/api/v1/users?q={person}", *addresses(app, "/api/v1", {**house, "bob": house[person]})]
            leaked, shown = leaks(program, places, masked | secrets)
            assert not leaked, (name, leaked)
            assert shown > 4, name
        for part in ("kestrel", "l@kestrel.example.org", "198.51.100.77", "100.77", "$2b$", "sealed-seed"):
            found = visitor.get(f"/staff?q={quote(part)}")
            assert not any(str(house[person]) in found.html for person in PEOPLE), (name, part)
    tara = signed_in(app, "tara")
    for person in PEOPLE:
        taken = sent(tara, f"/staff/users/{house[person]}/record", {"reason": "They ask for it."})
        assert f'"username":"{person}"' in taken
        assert "•••@k•••.org" in taken
        assert '"masked":["email","address"]' in taken
        assert not [canary for canary in masked | secrets if canary in taken]
    make_account("carl", permissions=["credits.write"])
    leaked, shown = leaks(signed_in(app, "carl"), addresses(app, "/admin", house), masked | secrets)
    assert (leaked, shown > 0) == (set(), True)
    # A client of many scopes is shown all that a client of each would be.
    # Who reads keys is shown the networks that their owner bound them to.
    whole = {Capability.USER_CONTACT, Capability.AUDIT_READ, Capability.KEY_READ}
    blind = [scope for scope, capabilities in SCOPES.items() if not capabilities & whole]
    for scopes, canaries in ((blind, masked | secrets), (list(SCOPES), secrets)):
        caller = Visitor(app.test_client())
        token = machine(*scopes, name=f"gate of {len(scopes)}").token
        caller.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        leaked, shown = leaks(caller, addresses(app, "/api/v1", house), canaries)
        assert (leaked, shown > 2) == (set(), True), scopes
    number = acting("theo", person_of("bob")).case
    with transaction():
        case = db.session.scalars(select(SupportCase).where(SupportCase.number == number)).one()
        hand_to_person(actor_named("theo"), case.id, person_id=actor_named("tara").id or case.id, why="Too hard.")
    for name in ("tess", "theo", "tara"):
        assert not [one for one in letters(to=f"{name}@example.org") if EMAIL in str(one.values)]
    # Those who may see it do: the canaries are where they should be. No secret is shown to them either.
    ada, bob = signed_in(app, "ada"), signed_in(app, "bob")
    assert EMAIL in ada.get(f"/admin/users/{house['bob']}").html
    assert ADDRESS in bob.get("/account/activity").html
    for visitor, top in (
        (ada, "/admin"),
        (bob, "/account"),
        (program_of(app, "ada"), "/api/v1"),
        (program_of(app, "bob"), "/api/v1"),
    ):
        leaked, shown = leaks(visitor, addresses(app, top, house), secrets)
        assert not leaked, leaked
        assert shown > 8, top
