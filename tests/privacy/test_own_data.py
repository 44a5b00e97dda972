"""Everything held about oneself: complete, without secrets, for its owner alone, for a while."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account
from portal.accounts.pictures import set_picture
from portal.audit.models import AuditEntry
from portal.core import clock, settings
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import ReauthNeeded
from portal.core.tables import read_csv
from portal.jobs.table import JOBS
from portal.mail.outbox import write_mail
from portal.messages.export_files import exports_folder
from portal.messages.opening import open_for_30_minutes
from portal.privacy.own_data import ask_for_own_data
from portal.signin.models import SignInSession
from portal.usage.credits import grant_credits
from portal.web.frame import Doorward
from tests.accounts.bombs import plain
from tests.conftest import Machine
from tests.pages.conftest import keep_prompt, refuse
from tests.people import PASSWORD, acting, actor_named, hashed, make_account
from tests.visitor import SeenPage, Visitor

DATA = "/account/data"
Talk = Callable[..., None]


def work_off() -> None:
    JOBS["do_long_works"].work()


def ask(visitor: Visitor) -> SeenPage:
    return visitor.send(visitor.get(DATA), to="/account/archives")


def link_in(page: SeenPage) -> str:
    (link,) = {link for link in page.links() if "/file?link=" in link}
    return link


def archive_of(visitor: Visitor) -> zipfile.ZipFile:
    page = ask(visitor)
    assert "Waiting" in page.text
    work_off()
    page = visitor.get(page.path)
    assert "Ready" in page.text, page.text
    answer = visitor.get(link_in(page)).response
    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return zipfile.ZipFile(io.BytesIO(answer.get_data()))


def rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(archive.read(f"{name}.json"))
    return found


@pytest.fixture
def alice(
    talk: Talk, browser: Callable[[str], Visitor], key_of: Callable[..., str], machine: Callable[..., Machine]
) -> Visitor:
    """Alice, of whom there is something everywhere, in a browser; and Bob, with the same."""
    for name in ("alice", "bob"):
        person = make_account(name, display_name=f"{name} the lantern")
        key = key_of(person, f"key of {name}")
        assert machine(name=f"gate of {name}").post("/keys/verify", {"key": key}).get_json()["valid"]
        talk(name, f"a lantern of {name}", f"an answer for {name}", conversation_id=f"c-{name}")
        keep_prompt(person)
        refuse(person)
        with transaction():
            grant_credits(operator_actor().because(f"a gift for {name}"), person.id, 50)
            make_link(Purpose.RESET, person)
            write_mail(f"{name}@example.org", "notice", {"name": name, "what": "x"}, account_id=person.id)
            set_picture(actor_named(name), plain())
    make_account("tara")
    account = db.session.scalars(select(Account).where(Account.username_canonical == "alice")).one()
    tara = acting("tara", account).because("a riddle of hers")
    with transaction():
        open_for_30_minutes(tara, account.id)
    return browser("alice")


@pytest.fixture
def talk(machine: Callable[..., Machine]) -> Talk:
    """Let an exchange be logged and flushed."""
    pusher = machine("logs:write", name="pusher")

    def say(username: str, prompt: str, response: str, **fields: object) -> None:
        said = {"username": username, "model": "m-1", "prompt": prompt, "response": response, **fields}
        assert pusher.post("/message-logs", said).status_code == 202
        JOBS["flush_message_logs"].work()

    return say


@pytest.fixture
def browser(app: Doorward) -> Callable[[str], Visitor]:
    """One more browser in which somebody signs in."""

    def enter(name: str) -> Visitor:
        visitor = Visitor(app.test_client())
        assert visitor.sign_in(name).status == 200
        return visitor

    return enter


SEALED = pytest.mark.parametrize("setting", [{}, {"encrypt_messages": True}], ids=["open", "sealed"])


@SEALED
def test_everything_of_mine_is_in_it_and_nothing_of_another(alice: Visitor) -> None:
    archive = archive_of(alice)
    assert archive.testzip() is None
    names = set(archive.namelist())
    lists = {name.partition(".")[0] for name in names if name.endswith(".json")}
    assert names == {f"{name}.{end}" for name in lists for end in ("json", "csv")} | {"README.txt", "picture.webp"}
    filled = {name for name in lists if rows(archive, name)}
    assert filled >= {
        "account", "picture", "mailed_links", "sessions", "known_browsers", "api_keys", "plan", "usage_days",
        "credit_ledger", "credit_balance", "refusals", "leases", "conversations", "exchanges", "prompts", "mails",
        "exports", "audit", "usage_details",
    }  # fmt: skip
    (account,) = rows(archive, "account")
    assert (account["username"], account["email"], account["state"]) == ("alice", "alice@example.org", "active")
    (said,) = rows(archive, "exchanges")
    assert [one["content"] for one in said["messages"]] == ["a lantern of alice", "an answer for alice"]
    assert rows(archive, "conversations")[0]["title"] == "a lantern of alice"
    assert rows(archive, "credit_ledger")[-1]["reason"] == "a gift for alice"
    assert "a riddle of hers" in [entry["reason"] for entry in rows(archive, "audit")]
    assert rows(archive, "mails")[0]["to"] == "alice@example.org"
    assert archive.read("picture.webp")[:4] == b"RIFF"
    whole = b"".join(archive.read(name) for name in names)
    assert b"bob" not in whole
    assert b"Everything that" in archive.read("README.txt")


def test_no_secret_is_in_it(alice: Visitor, key_of: Callable[..., str]) -> None:
    account = db.session.scalars(select(Account).where(Account.username_canonical == "alice")).one()
    secret = key_of(account, "one more")
    digests = [one.hex() for one in db.session.scalars(select(SignInSession.digest))]
    archive = archive_of(alice)
    whole = b"".join(archive.read(name) for name in archive.namelist()).decode("utf-8", "replace")
    for hidden in (secret, PASSWORD, hashed(), *digests, settings.current().secret_key, "/reset/"):
        assert hidden not in whole
    addresses = {entry["address"] for entry in rows(archive, "audit") if not entry["by_yourself"]}
    assert addresses == {None}


def test_no_cell_becomes_a_formula_and_what_was_said_comes_back(alice: Visitor, talk: Talk) -> None:
    for number, words in enumerate(("=1+1", "+1", "-1", "@x", "\tx", "'=1", "\uff1dx")):
        talk("alice", words, "ok", conversation_id=f"f-{number}")
    alice.send(alice.get("/account/profile"), {"display_name": "=cmd|' /C calc'!A0"})
    archive = archive_of(alice)
    for name in [name for name in archive.namelist() if name.endswith(".csv")]:
        for row in csv.reader(io.StringIO(archive.read(name).decode(), newline="")):
            assert not [cell for cell in row if cell[:1] in "=+@\t\r\uff1d" and cell], name
    head, shown = list(read_csv(archive.read("account.csv").decode()))
    assert shown[head.index("display_name")] == "=cmd|' /C calc'!A0"


def test_it_is_for_its_owner_who_proved_who_they_are(
    alice: Visitor, browser: Callable[[str], Visitor], app: Doorward
) -> None:
    page = ask(alice)
    work_off()
    link = link_in(alice.get(page.path))
    bob = browser("bob")
    assert bob.get(link).status == bob.get(page.path).status == 404
    assert Visitor(app.test_client()).get(link).path == "/sign-in"
    assert alice.get(link.replace("link=", "link=x")).status == 404
    clock.shift(timedelta(minutes=5, seconds=1))
    assert alice.get(link, follow=False).status == 302
    with pytest.raises(ReauthNeeded):
        ask_for_own_data(_late("alice"))


def _late(name: str) -> Any:
    actor = actor_named(name)
    clock.shift(timedelta(minutes=11))
    return actor


def test_one_is_made_at_a_time_and_asking_leaves_an_entry(alice: Visitor) -> None:
    ask(alice)
    assert alice.send(alice.get(DATA), to="/account/archives").status == 409
    asked = db.session.scalars(select(AuditEntry.event).where(AuditEntry.event == "data.asked")).all()
    assert len(asked) == 1


def test_it_can_be_stopped_and_deleted_with_its_file(alice: Visitor) -> None:
    page = ask(alice)
    page = alice.send(page, to=f"{page.path}/stop")
    assert "Stopped" in page.text
    work_off()
    assert list(exports_folder().iterdir()) == []
    alice.send(page, to=f"{page.path}/delete")
    page = ask(alice)
    work_off()
    page = alice.get(page.path)
    assert len(list(exports_folder().iterdir())) == 1
    alice.send(page, to=f"{page.path}/delete")
    assert list(exports_folder().iterdir()) == []


def test_the_link_and_the_file_run_out(alice: Visitor) -> None:
    page = ask(alice)
    work_off()
    link = link_in(alice.get(page.path))
    clock.shift(timedelta(seconds=settings.current().export_link_ttl_s + 1))
    JOBS["drop_exports"].work()
    assert list(exports_folder().iterdir()) == []
    alice.sign_out()
    alice.sign_in("alice")
    assert alice.get(link).status == 404


def test_whoever_is_leaving_may_still_take_it_along(alice: Visitor) -> None:
    before = ask(alice)
    work_off()
    alice.send(alice.get(f"{DATA}/close"), {"username": "alice"})
    assert "/file?link=" not in alice.get(before.path).html, "the link died with what opened the account before"
    archive = archive_of(alice)
    assert rows(archive, "account")[0]["state"] == "closing"


def test_it_is_made_of_what_there_was_when_the_account_changed_hands(alice: Visitor) -> None:
    page = ask(alice)
    with transaction():
        db.session.scalars(select(Account).where(Account.username_canonical == "alice")).one().epoch += 1
    work_off()
    assert list(exports_folder().iterdir()) == []
    assert alice.get(page.path).path == "/sign-in"
