"""What a password may be, and that only the very same one opens."""

from __future__ import annotations

import time
from importlib import resources
from statistics import median

import bcrypt
import pytest

from portal.core import settings
from portal.core.errors import Invalid
from portal.signin.passwords import check_password, check_policy, hash_password, least_for, needs_upgrade
from portal.web.frame import Doorward
from tests.people import PASSWORD

EMOJI = "\U0001f511"


def refusal(password: str, **given: str) -> str:
    """What is said against a password; empty when nothing is."""
    try:
        check_policy(password, **{"kind": "user", **given})
    except Invalid as error:
        return str(error.fields["password"])
    return ""


@pytest.mark.parametrize(
    ("kind", "password", "fine"),
    [
        ("user", "quiet lamp 4", True),
        ("user", "quiet lamp4", False),
        ("staff", "quiet lamps 42.", True),
        ("staff", "quiet lamps 42", False),
        ("admin", "quiet lamps 42.", True),
        ("admin", "quiet lamps 42", False),
        ("user", EMOJI * 12, True),
        ("user", EMOJI * 11, False),
        ("user", "e\u0301" * 11, False),
        ("user", "x\u00e9" * 512, True),
        ("user", "x\u00e9" * 512 + "x", False),
    ],
)
def test_length_is_counted_in_characters_after_nfkc(bare: Doorward, kind: str, password: str, fine: bool) -> None:
    assert (refusal(password, kind=kind) == "") is fine


@pytest.mark.parametrize("setting", [{"password_min_length": 20}])
def test_the_setting_raises_the_least_length_for_everybody(bare: Doorward) -> None:
    for kind in ("user", "staff", "admin"):
        assert refusal("quiet lamps, 19 long", kind=kind) == ""
        assert "20 characters" in refusal("quiet lamps 19 long", kind=kind)


@pytest.mark.parametrize("password", ["   quiet words only ", "90817263544536271809", EMOJI * 20, " " * 20])
def test_there_is_no_rule_of_composition(bare: Doorward, password: str) -> None:
    assert refusal(password) == ""


def test_every_common_password_that_is_long_enough_is_refused(bare: Doorward) -> None:
    listed = resources.files("portal.signin").joinpath("common_passwords.txt").read_text("utf-8").split("\n")
    long_enough = [word for word in listed if len(word) >= 12]
    assert len(long_enough) >= 3000
    assert [word for word in long_enough if not refusal(word)] == []
    assert [word for word in long_enough[:200] if "lists of common ones" not in refusal(word.upper())] == []


@pytest.mark.parametrize(
    "password",
    ["my Alice.Moor lamp", "alice.moor and more", "the lantern.post 7", "LANTERN.POST words", "my dOOrward words"],
)
def test_a_name_in_the_password_is_refused_with_that_reason(bare: Doorward, password: str) -> None:
    said = refusal(password, username="Alice.Moor", email="Lantern.Post@example.org")
    assert said == "Leave your name and the name of this site out of it."


def test_a_name_of_two_letters_forbids_nothing(bare: Doorward) -> None:
    assert refusal("quiet lanterns at sea", email="at@example.org") == ""


def test_only_the_very_same_password_opens(bare: Doorward) -> None:
    stored = hash_password("quiet lamps 42.")
    assert check_password("quiet lamps 42.", stored)
    for other in ("Quiet lamps 42.", "quiet lamps 42. ", " quiet lamps 42.", "quiet lamps 42", "quiet lamps 42.\0", ""):
        assert not check_password(other, stored), other


def test_every_character_of_a_long_password_counts(bare: Doorward) -> None:
    long = EMOJI * 63
    stored = hash_password(long + "a")
    assert check_password(long + "a", stored)
    assert not check_password(long + "b", stored)
    assert not check_password(long, stored)


def test_nul_and_half_characters_are_letters_like_others(bare: Doorward) -> None:
    for password in ("quiet\0lamps 42", "quiet \ud800 lamps 42"):
        stored = hash_password(password)
        assert check_password(password, stored)
        assert not check_password(password + "x", stored)
        assert not check_password(password[:6], stored)


def test_the_same_password_typed_another_way_opens(bare: Doorward) -> None:
    assert check_password("caf\u00e9 au lait, \uff11\uff12", hash_password("cafe\u0301 au lait, 12"))


def test_no_two_hashes_are_alike_and_none_is_the_password(bare: Doorward) -> None:
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second
    assert first.startswith("s384$$2b$04$")
    assert len(first) <= 100


def test_a_plain_bcrypt_hash_from_elsewhere_opens_and_wants_an_upgrade(bare: Doorward) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    assert check_password(PASSWORD, stored)
    assert not check_password("quiet\0lamps", stored)
    assert not check_password("\U0001f511" * 64, stored)
    assert needs_upgrade(stored)


@pytest.mark.parametrize("setting", [{"bcrypt_cost": 6}])
def test_an_older_cost_wants_an_upgrade(bare: Doorward) -> None:
    assert needs_upgrade("s384$$2b$05$" + "x" * 53)
    assert not needs_upgrade("s384$$2b$06$" + "x" * 53)
    assert not needs_upgrade("s384$$2b$12$" + "x" * 53)


def test_nobody_and_no_password_never_open(bare: Doorward) -> None:
    assert not check_password("nobody", None)
    assert not check_password("", None)


HOSTILE = ["", "x", "s384$", "$2b$12$", "$2b$31$" + "a" * 53, "s384$$2b$17$" + "a" * 53, "$2b$04$" + "!" * 53]
HOSTILE += [
    "$2b$04$" + "a" * 52,
    "$2b$04$" + "a" * 54,
    "$2b$\u0664\u0664$" + "a" * 53,
    "$1$salt$hash",
    "\0",
    "$2x$04$" + "a" * 53,
]


@pytest.mark.parametrize("stored", HOSTILE)
def test_what_is_no_hash_opens_nothing_and_breaks_nothing(bare: Doorward, stored: str) -> None:
    for password in (PASSWORD, "", stored):
        assert not check_password(password, stored)
    assert needs_upgrade(stored)


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
@pytest.mark.parametrize("cost", [5, 6, 7, 8])
def test_hashes_of_fifteen_years_ago_open(bare: Doorward, version: str, cost: int) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode().replace("$2b$", f"${version}$")
    assert check_password(PASSWORD, stored)
    assert not check_password(PASSWORD + "x", stored)
    assert needs_upgrade(stored)


@pytest.mark.parametrize("setting", [{"bcrypt_cost": 10}])
def test_nothing_that_is_stored_is_looked_at_with_less_work(bare: Doorward) -> None:
    stored = {
        "as now": hash_password(PASSWORD),
        "none": None,
        "older": bcrypt.hashpw(b"other", bcrypt.gensalt(6)).decode(),
        "a little older": bcrypt.hashpw(b"other", bcrypt.gensalt(9)).decode(),
        "hostile": "$2b$31$" + "a" * 53,
    }

    def work(kept: str | None) -> float:
        begun = time.process_time()
        assert not check_password("wrong words here", kept)
        return time.process_time() - begun

    for kept in stored.values():
        work(kept)
    spent = {name: median(work(kept) for _ in range(7)) for name, kept in stored.items()}
    assert max(spent.values()) < 1.3 * min(spent.values()), spent


@pytest.mark.parametrize(("required", "least"), [([], 15), (["admin"], 15), (["staff"], 12), (["staff", "admin"], 12)])
def test_who_must_have_a_second_factor_needs_no_longer_password(
    bare: Doorward, required: list[str], least: int
) -> None:
    settings.enter(settings.current().model_copy(update={"require_factor": required}))
    assert least_for("staff") == least
    assert (refusal("quiet lamp 4", kind="staff") == "") is (least == 12)
    settings.leave()
