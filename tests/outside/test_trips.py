"""The trip to a provider and back: what was begun in a browser is good there, once, and for a while."""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.core import clock
from portal.core.database import db
from portal.outside.models import ExternalIdentity
from portal.signin.models import SignInSession, SignInStep
from portal.web.logs import set_up_logs
from tests.outside.conftest import Traveller
from tests.races import race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.core.settings import Settings
    from portal.web.frame import Doorward
    from tests.outside.liar import Liar

OVER = "took too long, or was done already"
NOT_HERE = "not begun in this browser"


def accounts() -> int:
    """How many there are."""
    return db.session.scalar(select(func.count()).select_from(Account)) or 0


def sessions() -> int:
    """How many there are."""
    return db.session.scalar(select(func.count()).select_from(SignInSession)) or 0


def test_a_provider_is_asked_with_everything_that_binds_its_answer(
    traveller: Traveller, liar: Liar, settings: Settings
) -> None:
    query = traveller.depart()
    again = Traveller(traveller.client).depart()
    assert query["response_type"] == "code"
    assert query["redirect_uri"] == f"{settings.site_url}/sign-in/with/acme/back"
    assert query["scope"] == "openid email profile"
    assert query["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(query[name]) >= 43
        assert query[name] != again[name]
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    assert traveller.travel(liar).title
    form = liar.exchanges[-1]
    assert len(form["code_verifier"]) >= 43
    assert "client_secret" not in form, "the secret goes in the header where the provider takes it there"


def test_somebody_new_gets_an_account_and_is_signed_in(traveller: Traveller, liar: Liar) -> None:
    page = traveller.travel(liar)
    assert (page.status, page.path) == (200, "/account")
    account = db.session.scalars(select(Account)).one()
    assert (account.username, account.email, account.display_name) == ("carol", "carol@example.org", "Carol Outside")
    assert account.email_verified_at is not None
    assert account.password_hash is None
    session = db.session.scalars(select(SignInSession)).one()
    assert session.method == "acme"
    identity = db.session.scalars(select(ExternalIdentity)).one()
    assert (identity.issuer, identity.subject, identity.account_id) == (liar.issuer, "subject-1", account.id)


def test_known_by_issuer_and_subject_however_the_rest_changes(app: Doorward, liar: Liar, other: Liar) -> None:
    Traveller.of(app).travel(liar)
    liar.claims = {"email": "elsewhere@example.org", "preferred_username": "eve", "name": "Eve"}
    assert Traveller.of(app).travel(liar).path == "/account"
    assert accounts() == 1
    other.claims = {"email": "third@example.org", "preferred_username": "third"}  # the same subject at another issuer
    assert Traveller.of(app).travel(other, "other").path == "/account"
    assert accounts() == 2


@pytest.mark.parametrize("target", ["/account/keys", "//evil.example", "https://evil.example/", "/\\evil.example"])
def test_back_to_where_one_wanted_to_go_and_nowhere_else(traveller: Traveller, liar: Liar, target: str) -> None:
    page = traveller.travel(liar, target=target, follow=False)
    assert page.status == 302
    assert page.response.headers["Location"] == (target if target == "/account/keys" else "/account")


def test_without_state_or_with_another_one_nothing_happens(traveller: Traveller, liar: Liar) -> None:
    query = traveller.depart()
    wrong: list[dict[str, Any]] = [{}, *({"state": state} for state in ("", "x", query["state"] + "x", query["nonce"]))]
    for brought in wrong:
        page = traveller.come_back(code=liar.code_for(query), **brought)
        assert NOT_HERE in page.text
        assert page.path == "/sign-in"
    assert (accounts(), sessions(), liar.exchanges) == (0, 0, [])
    # What was begun is still good: a stranger's link cannot take it away.
    assert traveller.come_back(code=liar.code_for(query), state=query["state"]).path == "/account"


def test_another_browser_s_answer_opens_nothing(app: Doorward, liar: Liar) -> None:
    thief, victim = Traveller.of(app), Traveller.of(app)
    query = thief.depart()
    brought: dict[str, Any] = {"code": liar.code_for(query), "state": query["state"]}
    assert OVER in victim.come_back(**brought).text
    victim.depart()
    assert NOT_HERE in victim.come_back(**brought).text
    assert (accounts(), sessions(), liar.exchanges) == (0, 0, [])


def test_an_answer_is_good_once(traveller: Traveller, liar: Liar) -> None:
    query = traveller.depart()
    first = liar.code_for(query)
    assert traveller.come_back(code=first, state=query["state"]).path == "/account"
    for code in (first, liar.code_for(query)):
        traveller.come_back(code=code, state=query["state"])
    assert sessions() == 1
    assert len(liar.exchanges) == 1


def test_a_refused_answer_uses_it_up_too(traveller: Traveller, liar: Liar) -> None:
    query = traveller.depart()
    liar.claims = {"nonce": "another"}
    assert "not one to believe" in traveller.come_back(code=liar.code_for(query), state=query["state"]).text
    liar.claims = {}
    assert OVER in traveller.come_back(code=liar.code_for(query), state=query["state"]).text
    assert db.session.scalar(select(func.count()).select_from(SignInStep)) == 0
    assert accounts() == 0


def test_of_twenty_at_once_one_goes_in(app: Doorward, liar: Liar) -> None:
    starter = Traveller.of(app)
    query = starter.depart()
    cookie = starter.client.get_cookie("doorward")
    assert cookie is not None

    def run(number: int) -> str:
        traveller = Traveller.of(app)
        traveller.client.set_cookie("doorward", cookie.value)
        page = traveller.come_back(code=codes[number], state=query["state"], follow=False)
        return urlsplit(page.response.headers["Location"]).path

    codes = [liar.code_for(query) for _ in range(20)]
    ends = Counter(race(20, run))
    assert ends["/account"] == 1, ends
    assert set(ends) == {"/account", "/sign-in"}
    db.session.expire_all()
    assert (accounts(), sessions()) == (1, 1)


def test_twenty_first_visits_of_one_person_make_one_account(app: Doorward, liar: Liar) -> None:
    def run(_: int) -> tuple[int, str]:
        page = Traveller.of(app).travel(liar)
        return page.status, page.path

    Traveller.of(app).depart()  # so that the provider has told about itself: only so many wait for that
    ends = Counter(race(20, run))
    # Some may be told to try again; nobody sees a fault.
    assert ends[200, "/account"] >= 1
    assert set(ends) <= {(200, "/account"), (200, "/sign-in")}
    db.session.expire_all()
    assert accounts() == 1
    assert db.session.scalar(select(func.count()).select_from(ExternalIdentity)) == 1


@pytest.mark.parametrize(("after", "good"), [(599, True), (601, False)])
def test_ten_minutes_and_not_a_second_more(traveller: Traveller, liar: Liar, after: int, good: bool) -> None:
    query = traveller.depart()
    clock.shift(clock.offset() + timedelta(seconds=after))
    page = traveller.come_back(code=liar.code_for(query), state=query["state"])
    assert (page.path == "/account") is good
    assert (OVER in page.text) is not good


def test_one_provider_s_answer_is_refused_at_the_other_s_door(app: Doorward, liar: Liar, other: Liar) -> None:
    traveller = Traveller.of(app)
    query = traveller.depart("acme")
    page = traveller.come_back("other", code=liar.code_for(query), state=query["state"])
    assert NOT_HERE in page.text
    # A code of the other provider, brought to the right door.
    page = traveller.come_back("acme", code=other.code_for(query), state=query["state"])
    assert "not one to believe" in page.text
    # A token of the other provider, handed out by this one.
    query = traveller.depart("acme")
    liar.forge = lambda claims: other.token({**claims, "iss": other.issuer})
    page = traveller.come_back("acme", code=liar.code_for(query), state=query["state"])
    assert "not one to believe" in page.text
    assert (accounts(), sessions()) == (0, 0)


def test_the_issuer_in_the_answer_is_checked(app: Doorward, liar: Liar, other: Liar) -> None:
    for iss, good in ((other.issuer, False), ("", False), (f"{liar.issuer}/", False), (liar.issuer, True)):
        traveller = Traveller.of(app)
        query = traveller.depart()
        page = traveller.come_back(code=liar.code_for(query), state=query["state"], iss=iss)
        assert (page.path == "/account") is good, iss


def test_an_issuer_that_is_always_named_must_be(app: Doorward, liar: Liar) -> None:
    liar.metadata = {"authorization_response_iss_parameter_supported": True}
    assert "not one to believe" in Traveller.of(app).travel(liar).text
    traveller = Traveller.of(app)
    query = traveller.depart()
    page = traveller.come_back(code=liar.code_for(query), state=query["state"], iss=liar.issuer)
    assert page.path == "/account"


@pytest.mark.parametrize(
    ("error", "words"),
    [("access_denied", "You did not let Acme tell"), ("server_error", "could not tell"), ("<b>x", "could not tell")],
)
def test_an_error_of_the_provider_is_told_in_our_words(
    traveller: Traveller, liar: Liar, error: str, words: str
) -> None:
    query = traveller.depart()
    page = traveller.come_back(state=query["state"], error=error, error_description="Call 555 now")
    assert page.path == "/sign-in"
    assert words in page.text
    assert "555" not in page.text
    assert OVER in traveller.come_back(state=query["state"], code=liar.code_for(query)).text


def test_no_code_or_an_unreadable_one_is_no_fault_of_ours(traveller: Traveller, liar: Liar) -> None:
    for code in ("", "\0", "ä" * 5000, "%00", "a&b=c"):
        query = traveller.depart()
        page = traveller.come_back(state=query["state"], code=code)
        assert page.path == "/sign-in", code
    assert accounts() == 0


def test_nobody_is_sent_to_a_provider_that_is_not_offered(traveller: Traveller) -> None:
    for slug in ("nobody", "ACME", "acme2"):
        token = traveller.get("/sign-in").form_to("/sign-in").find(".//input[@name='csrf_token']")
        assert token is not None
        page = traveller.post(f"/sign-in/with/{slug}", {"csrf_token": token.get("value")}, follow=True)
        assert "not offered here" in page.text
    assert traveller.post("/sign-in/with/acme").status == 400, "no token, no trip"
    assert traveller.get("/sign-in/with/acme").status == 405


@pytest.fixture
def logged(app: Doorward, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the log says from here on."""
    said = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", said)
        set_up_logs(settings.model_copy(update={"log_level": "info"}))
    yield said
    set_up_logs(settings)


def test_the_code_is_left_behind_and_in_no_log(traveller: Traveller, liar: Liar, logged: io.StringIO) -> None:
    query = traveller.depart()
    code = liar.code_for(query)
    page = traveller.come_back(code=code, state=query["state"], follow=False)
    assert page.status == 302
    said = logged.getvalue()
    assert "/sign-in/with/acme/back" in said
    form = liar.exchanges[-1]
    for secret in (code, query["state"], query["nonce"], form["code_verifier"], "kept-between-the-two", "eyJ"):
        assert secret not in said
    assert code not in page.response.headers["Location"]


@pytest.mark.parametrize("name", ["%00", "a%00b", "ACME", "acme%20", "a" * 300])
def test_a_name_that_no_provider_can_have_is_none(traveller: Traveller, name: str) -> None:
    token = traveller.get("/sign-in").form_to("/sign-in").find(".//input[@name='csrf_token']")
    assert token is not None
    assert traveller.post(f"/sign-in/with/{name}", {"csrf_token": token.get("value")}).status == 302
    assert "not offered here" in traveller.get("/sign-in").text


def test_no_long_way_home_is_kept(traveller: Traveller) -> None:
    """What a trip is to lead to is stored, for whoever asks: it must not fill the database."""
    traveller.depart(target="/" + "a" * 100_000)
    (begun,) = db.session.scalars(select(SignInStep))
    assert len(begun.facts) < 10_000
