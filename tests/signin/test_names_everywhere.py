"""Names on every path that writes one: another spelling of a name is no second account, and what could be taken for
another is refused, the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy import func, select

from portal.accounts.lifecycle import edit_user
from portal.accounts.models import Account, User
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Invalid, LimitReached
from portal.mail.models import OutboxMail
from portal.privacy.deletion import delete_user, restore_user
from portal.signin.email_change import ask_for_email
from portal.signin.first_admin import create_admin, make_first_admin, offer_setup
from portal.signin.registration import NewPerson, invite_admin, invite_staff, invite_user, register
from portal.signin.username_change import change_username
from portal.usage.plans import default_plan
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.races import race
from tests.visitor import Visitor

NUMBERS = count()
Path = Callable[[NewPerson], object]


def by_first_admin(person: NewPerson) -> object:
    path = offer_setup()
    db.session.flush()
    assert path is not None
    db.session.commit()
    return make_first_admin(nobody(), path.rpartition("/")[2], person, PASSWORD)


def by_rename(person: NewPerson) -> object:
    return change_username(actor_named(fresh()), person.username)


def by_edit(person: NewPerson) -> object:
    user = db.session.scalars(select(User).where(User.username_canonical == fresh())).one()
    return edit_user(
        operator_actor(),
        user.id,
        version=user.version,
        display_name="",
        email=person.email,
        time_zone="UTC",
        daily_limit_override=None,
    )


def by_change_of_email(person: NewPerson) -> object:
    return ask_for_email(actor_named(fresh()), person.email)


def fresh() -> str:
    """Another user to be changed."""
    name = f"fresh-{next(NUMBERS)}"
    make_account(name)
    return name


NEW: dict[str, Path] = {
    "register": lambda person: register(nobody(f"198.51.100.{next(NUMBERS) % 250}"), person, PASSWORD),
    "invite a user": lambda person: invite_user(operator_actor(), person, plan_id=default_plan().id),
    "invite staff": lambda person: invite_staff(operator_actor(), person, level=1),
    "invite an admin": lambda person: invite_admin(operator_actor(), person, permissions=[]),
    "create an admin": lambda person: create_admin(operator_actor(), person, PASSWORD),
    "set up": by_first_admin,
}
USERNAME_PATHS = {**NEW, "rename": by_rename}
EMAIL_PATHS = {**NEW, "edit a user": by_edit}

TWINS = ["alice", "ALICE", " Alice\t", "aLICE"]
# Full width, accents composed and not, dotless and dotted i, sharp s, long s, zero-width, right to left, other scripts,
# unassigned, half of a pair, NUL, emoji, ligature, a digit of elsewhere, e-mail addresses, endless.
ODD = [
    "\uff41lice",
    "alic\u00e9",
    "alice\u0301",
    "al\u0131ce",
    "al\u0130ce",
    "\u00dfalice",
    "\u017falice",
    "al\u200bice",
]
ODD += [
    "al\u200dice",
    "alice\u202e",
    "\u2066alice",
    "\u0430lice",
    "ali\u0441e",
    "al\u03b9ce",
    "alice\u0378",
    "alice\ufeff",
]
ODD += [
    "alice\ud800",
    "al\0ice",
    "alice\U0001f469\u200d\U0001f680",
    "alice\ufb01x",
    "alice\u0664",
    "alice\u3164",
    "a\nlice",
]
ODD += ["alice@example.org", "al", "a" * 41, "-alice", "al ice", "..", "'; --", "\u0627\u0644\u064a\u0633"]

MAIL_TWINS = ["alice@b\u00fccher.example", "ALICE@B\u00dcCHER.EXAMPLE", " alice@bu\u0308cher.example "]
MAIL_TWINS += ["alice@xn--bcher-kva.example", "alice@XN--BCHER-KVA.example", "\uff41lice@b\u00fccher.example"]
MAIL_TWINS += ["alice@b\u00fccher\u3002example"]
ODD_MAILS = ["alice", "@b.example", "alice@", "a@b@c.example", "alice\uff20b.example", '"alice"@b.example', "alice@b"]
ODD_MAILS += [
    "al ice@b.example",
    "alice@b.example\r\nBcc: x@y.example",
    "al\u200bice@b.example",
    "alice\u202e@b.example",
]
ODD_MAILS += ["al\0ice@b.example", "alice\ud800@b.example", ".alice@b.example", "a..b@b.example", "alice@-b.example"]
ODD_MAILS += [
    f"{'a' * 65}@b.example",
    f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example.example",
    "alice@b..example",
]
LONGEST = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 58}.de"


def accounts() -> int:
    return db.session.scalar(select(func.count()).select_from(Account)) or 0


def said(path: Path, *, username: str | None = None, email: str | None = None) -> str:
    """What a path has against a new person; "" when it takes them."""
    other = f"other-{next(NUMBERS)}"
    try:
        with transaction():
            path(NewPerson(username if username is not None else other, email or f"{other}@example.org"))
    except Invalid as error:
        assert set(error.fields) == {"username" if username is not None else "email"}, error.fields
        return " ".join(map(str, error.fields.values()))
    except (Conflict, LimitReached) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("name", USERNAME_PATHS)
def test_another_spelling_of_a_username_is_taken_and_what_looks_like_one_is_refused(app: Doorward, name: str) -> None:
    make_account("alice")
    path = USERNAME_PATHS[name]
    for twin in TWINS:
        assert said(path, username=twin) == "This username is taken.", repr(twin)
    for odd in ODD:
        words = said(path, username=odd)
        assert words.startswith("A username "), (odd.encode("unicode-escape"), words)
    assert said(path, username="alice.b") == ""


@pytest.mark.parametrize("name", EMAIL_PATHS)
def test_another_spelling_of_an_address_is_taken_and_what_is_none_is_refused(app: Doorward, name: str) -> None:
    make_account("alice", email="alice@b\u00fccher.example", email_canonical="alice@xn--bcher-kva.example")
    path = EMAIL_PATHS[name]
    for twin in MAIL_TWINS:
        assert said(path, email=twin) == "Another account has this address.", repr(twin)
    for odd in ODD_MAILS:
        assert said(path, email=odd) == "This is not an e-mail address.", odd.encode("unicode-escape")
    assert len(LONGEST) == 254
    assert said(path, email=f"x{LONGEST}") != ""
    assert said(path, email=LONGEST) == ""


@pytest.mark.parametrize("email", ["alice+more@b\u00fccher.example", "al.ice@b\u00fccher.example"])
def test_plus_and_dots_are_kept(app: Doorward, email: str) -> None:
    make_account("alice", email="alice@b\u00fccher.example", email_canonical="alice@xn--bcher-kva.example")
    assert said(NEW["invite a user"], email=email) == ""


def test_a_change_of_address_tells_nothing_of_who_has_it_and_mails_no_link(app: Doorward) -> None:
    make_account("alice", email="alice@b\u00fccher.example", email_canonical="alice@xn--bcher-kva.example")
    for twin in MAIL_TWINS[:4]:
        assert said(by_change_of_email, email=twin) == "", repr(twin)
    assert "new_email" not in db.session.scalars(select(OutboxMail.template)).all()
    for odd in ODD_MAILS:
        assert said(by_change_of_email, email=odd) == "This is not an e-mail address.", odd.encode("unicode-escape")


@pytest.mark.parametrize("name", USERNAME_PATHS)
def test_the_names_of_a_deleted_user_stay_theirs_until_they_come_back(app: Doorward, name: str) -> None:
    alice = make_account("alice")
    with transaction():
        delete_user(operator_actor().because("asked"), alice.id, typed_name="alice")
    for twin in TWINS:
        assert said(USERNAME_PATHS[name], username=twin) == "This username is taken."
    if name in NEW:
        assert said(NEW[name], email=" ALICE@example.ORG ") == "Another account has this address."
    with transaction():
        restore_user(operator_actor(), alice.id)
    assert db.session.get_one(Account, alice.id).username_canonical == "alice"
    assert said(USERNAME_PATHS[name], username="ALICE") == "This username is taken."


MIXED = ["lena", "LENA", " Lena ", "leNa"]


@pytest.mark.parametrize("path", ["register", "invite a user", "rename"])
def test_of_twelve_twins_at_once_one_gets_the_name(app: Doorward, path: str) -> None:
    if path == "rename":
        movers = [actor_named(fresh()) for _ in range(12)]

    def one(number: int) -> str:
        with app.app_context():
            if path == "rename":
                return said(lambda person: change_username(movers[number], person.username), username=MIXED[number % 4])
            return said(NEW[path], username=MIXED[number % 4])

    answers = race(12, one)
    assert answers.count("") == 1, answers
    refused = {answer.partition(":")[0] for answer in answers} - {""}
    assert refused <= {"This username is taken.", "LimitReached"}
    assert db.session.scalar(select(func.count()).where(Account.username_canonical == "lena")) == 1


def test_signing_in_finds_the_one_account_by_every_spelling_and_by_no_look_alike(app: Doorward) -> None:
    make_account("alice", email="alice@b\u00fccher.example", email_canonical="alice@xn--bcher-kva.example")
    for number, typed in enumerate([*TWINS, *MAIL_TWINS]):
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"203.0.113.{number}"
        assert Visitor(client).sign_in(typed).path == "/account", repr(typed)
    for typed in ("al\u0131ce", "\u0430lice", "al\u200bice", "alice+x@b\u00fccher.example"):
        assert Visitor(app.test_client()).sign_in(typed).status == 422, repr(typed)
