"""What an authenticator answers: every lie is refused, every answer is good once (WebAuthn Level 3, 7.1 and 7.2)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import cbor2
import pytest

from portal.accounts.models import Account
from portal.core import clock, settings
from portal.core.database import db, transaction
from portal.core.errors import Invalid
from portal.signin.models import SignInStep
from portal.signin.passkeys import (
    Challenge,
    challenge_known,
    challenge_new,
    check_new,
    check_passkey,
    passkeys_of,
    site,
)
from portal.signin.steps import LIFETIMES, Step
from portal.web.frame import Doorward, keep_trace
from tests.passkeys import give_passkey
from tests.people import make_account
from tests.races import race
from tests.software_key import PRESENT, VERIFIED, SoftwareKey, b64, unb64

pytestmark = pytest.mark.usefixtures("app")


def asked(account: Account | None, *, new: bool = False) -> Challenge:
    """A challenge, kept."""
    with transaction():
        return challenge_new(account) if new and account else challenge_known(account)


def tried(secret: str | None, answer: str, account: Account | None, *, new: bool = False) -> str:
    """What comes of an answer as a request would: "" when it is taken, else the words; traces are kept."""
    db.session.expire_all()
    try:
        with transaction():
            if new and account is not None:
                check_new(secret, answer, account=account)
            else:
                check_passkey(secret, answer, account=account)
    except Invalid as error:
        keep_trace(error)
        return str(error.words)
    return ""


NO = "This passkey was not accepted."
OVER = "That took too long, or was done already. Try again."
NOT_ADDED = "The passkey could not be added: what came back is not right."


def test_options_demand_a_passkey_that_is_found_by_itself_and_knows_its_owner() -> None:
    alice, key = give_passkey("alice")
    known, anybody = (json.loads(asked(one).options) for one in (alice, None))
    new = json.loads(asked(alice, new=True).options)
    assert new["authenticatorSelection"]["residentKey"] == "required"
    assert new["authenticatorSelection"]["requireResidentKey"] is True
    assert new["authenticatorSelection"]["userVerification"] == "required"
    assert new["attestation"] == "none"
    assert new["rp"]["id"] == known["rpId"] == anybody["rpId"] == "localhost"
    assert unb64(new["user"]["id"]) == alice.id.bytes
    assert [one["id"] for one in new["excludeCredentials"]] == [b64(key.credential_id)]
    assert [one["id"] for one in known["allowCredentials"]] == [b64(key.credential_id)]
    assert anybody["allowCredentials"] == []
    assert known["userVerification"] == anybody["userVerification"] == "required"
    assert len({new["challenge"], known["challenge"], anybody["challenge"]}) == 3
    assert len(unb64(new["challenge"])) >= 32


@pytest.mark.parametrize(
    ("address", "rp_id", "origin"),
    [
        ("https://Door.Example.org", "door.example.org", "https://door.example.org"),
        ("https://door.example.org:443", "door.example.org", "https://door.example.org"),
        ("https://door.example.org:8443", "door.example.org", "https://door.example.org:8443"),
        ("http://localhost:8000", "localhost", "http://localhost:8000"),
        ("http://localhost:80/portal", "localhost", "http://localhost"),
    ],
)
def test_the_site_is_named_as_browsers_name_it(address: str, rp_id: str, origin: str) -> None:
    settings.enter(settings.current().model_copy(update={"site_url": address}))
    try:
        assert site() == (rp_id, origin)
    finally:
        settings.leave()


def test_the_owner_is_known_by_the_passkey() -> None:
    alice, key = give_passkey("alice")
    give_passkey("bob")
    challenge = asked(None)
    with transaction():
        passkey = check_passkey(challenge.secret, key.sign(challenge.options), account=None)
        assert passkey.account_id == alice.id
    kept = passkeys_of(alice)[0]
    assert kept.sign_count == 1
    assert kept.last_used_at is not None
    assert kept.transports == ["internal", "hybrid"]


LIES: dict[str, dict[str, Any]] = {
    "origin of another site": {"origin": "http://evil.example:8000"},
    "another port": {"origin": "http://localhost:8001"},
    "another scheme": {"origin": "https://localhost:8000"},
    "a longer name": {"origin": "http://localhost:8000.evil.example"},
    "no origin": {"origin": None},
    "origins in a list": {"origin": ["http://localhost:8000"]},
    "another RP ID": {"rp_id": "evil.example"},
    "nobody present": {"flags": VERIFIED},
    "nobody verified": {"flags": PRESENT},
    "backed up, but not fit for it": {"flags": PRESENT | VERIFIED | 16},
    "a frame of another site": {"client_extras": {"crossOrigin": True}},
    "a frame, by its page": {"client_extras": {"topOrigin": "http://evil.example"}},
    "another challenge": {"client_extras": {"challenge": b64(b"x" * 64)}},
    "no challenge": {"client_extras": {"challenge": ""}},
    "a challenge that is none": {"client_extras": {"challenge": 7}},
    "another sort": {"client_extras": {"type": "payment.get"}},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_at_sign_in_is_refused(lie: str) -> None:
    alice, key = give_passkey("alice")
    for name, value in LIES[lie].items():
        setattr(key, name, value)
    for account in (None, alice):
        challenge = asked(account)
        assert tried(challenge.secret, key.sign(challenge.options), account) == NO
    assert passkeys_of(alice)[0].sign_count == 0


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_at_registration_is_refused(lie: str) -> None:
    alice, key = make_account("alice"), SoftwareKey(**LIES[lie])
    challenge = asked(alice, new=True)
    assert tried(challenge.secret, key.make(challenge.options), alice, new=True) == NOT_ADDED


def test_an_answer_is_good_once() -> None:
    _, key = give_passkey("alice")
    challenge = asked(None)
    answer = key.sign(challenge.options)
    assert [tried(challenge.secret, answer, None) for _ in range(3)] == ["", OVER, OVER]
    again = asked(None)
    assert tried(again.secret, answer, None) == NO


def test_a_wrong_answer_ends_the_challenge_too() -> None:
    _, key = give_passkey("alice")
    challenge = asked(None)
    assert tried(challenge.secret, "{}", None) == NO
    assert tried(challenge.secret, key.sign(challenge.options), None) == OVER


@pytest.mark.parametrize("step", [1, 0])
def test_of_twenty_at_once_with_one_answer_one_gets_in(app: Doorward, step: int) -> None:
    alice, key = give_passkey("alice", SoftwareKey(step=step))
    challenge = asked(None)
    answer = key.sign(challenge.options)

    def enter(_: int) -> str:
        with app.app_context():
            return tried(challenge.secret, answer, None)

    said = Counter(race(20, enter))
    assert said[""] == 1
    assert set(said) <= {"", OVER, NO}
    db.session.expire_all()
    assert passkeys_of(alice)[0].sign_count == step


def test_of_many_copies_that_count_alike_one_gets_in(app: Doorward) -> None:
    _, key = give_passkey("alice")
    challenges = [asked(None) for _ in range(8)]
    answers = []
    for challenge in challenges:
        key.count = 4
        answers.append(key.sign(challenge.options))

    def enter(number: int) -> str:
        with app.app_context():
            return tried(challenges[number].secret, answers[number], None)

    assert Counter(race(8, enter)) == {"": 1, NO: 7}


def test_a_counter_that_does_not_go_up_is_a_copy() -> None:
    alice, key = give_passkey("alice")
    for count, words in ((9, ""), (9, NO), (3, NO), (-1, NO), (10, ""), (2**32 - 2, "")):
        challenge = asked(None)
        key.count = count
        assert tried(challenge.secret, key.sign(challenge.options), None) == words, count
    assert passkeys_of(alice)[0].sign_count == 2**32 - 1


def test_an_authenticator_that_does_not_count_is_fine() -> None:
    alice, key = give_passkey("alice", SoftwareKey(step=0))
    for _ in range(3):
        challenge = asked(alice)
        assert tried(challenge.secret, key.sign(challenge.options), alice) == ""


def test_a_passkey_of_somebody_else_proves_nothing() -> None:
    alice, _ = give_passkey("alice")
    _, key = give_passkey("bob")
    challenge = asked(alice)
    for handle in (key.handle, alice.id.bytes, None):
        key.handle = handle
        assert tried(challenge.secret, key.sign(challenge.options), alice) in {NO, OVER}
    fresh = asked(alice)
    assert tried(fresh.secret, key.sign(fresh.options), alice) == NO


@pytest.mark.parametrize("handle", [None, b"", b"x", bytes(16), b"x" * 64])
def test_who_signs_in_is_told_by_the_authenticator_itself(handle: bytes | None) -> None:
    _, key = give_passkey("alice")
    bob, _ = give_passkey("bob")
    for told in (handle, bob.id.bytes):
        key.handle = told
        challenge = asked(None)
        assert tried(challenge.secret, key.sign(challenge.options), None) == NO


def test_an_unknown_passkey_answers_as_a_wrong_signature_does() -> None:
    _, key = give_passkey("alice")
    stranger = SoftwareKey(handle=key.handle)
    forged = SoftwareKey(handle=key.handle, credential_id=key.credential_id)
    for one in (stranger, forged):
        challenge = asked(None)
        assert tried(challenge.secret, one.sign(challenge.options), None) == NO


def test_a_challenge_is_good_for_its_purpose_only() -> None:
    alice, key = give_passkey("alice")
    bob = make_account("bob")
    to_add, to_enter, to_prove = asked(alice, new=True), asked(None), asked(alice)
    assert tried(to_add.secret, key.sign(to_add.options), None) == OVER
    assert tried(to_enter.secret, key.sign(to_enter.options), alice) == OVER
    assert tried(to_prove.secret, key.sign(to_prove.options), None) == OVER
    other = asked(alice)
    assert tried(other.secret, key.sign(other.options), bob) == OVER
    to_enter = asked(None)
    made = SoftwareKey().make({**json.loads(to_enter.options), "user": {"id": b64(alice.id.bytes)}})
    assert tried(to_enter.secret, made, alice, new=True) == OVER
    # A registration's answer with its own challenge is no sign-in, and the other way round.
    to_add = asked(alice, new=True)
    assert tried(to_add.secret, key.sign(to_add.options), alice, new=True) == NOT_ADDED


def test_a_challenge_of_another_sort_of_step_or_browser_is_none() -> None:
    _, key = give_passkey("alice")
    challenge = asked(None)
    answer = key.sign(challenge.options)
    for secret in (None, "", "nonsense", challenge.secret[:-1], challenge.secret.lower(), asked(None).secret):
        assert tried(secret, answer, None) in {OVER, NO}
    assert tried(challenge.secret, answer, None) == ""


def test_a_challenge_lasts_five_minutes_and_not_a_second_more() -> None:
    _, key = give_passkey("alice")
    early, late = asked(None), asked(None)
    answers = [key.sign(one.options) for one in (early, late)]
    begun = clock.now()
    clock.shift(LIFETIMES[Step.PASSKEY] - timedelta(seconds=1))
    assert tried(early.secret, answers[0], None) == ""
    clock.shift(LIFETIMES[Step.PASSKEY] + timedelta(seconds=1))
    assert clock.now() - begun > LIFETIMES[Step.PASSKEY]
    assert tried(late.secret, answers[1], None) == OVER


def test_a_challenge_dies_with_what_the_account_was() -> None:
    alice, key = give_passkey("alice")
    challenge = asked(alice)
    with transaction():
        db.session.get_one(Account, alice.id).epoch += 1
    assert tried(challenge.secret, key.sign(challenge.options), alice) == OVER


def test_the_challenge_is_not_readable_in_the_database() -> None:
    challenge = asked(None)
    raw = unb64(json.loads(challenge.options)["challenge"])
    rows = db.session.query(SignInStep).all()
    assert raw.hex() not in repr([vars(row) for row in rows])
    assert challenge.secret.encode() not in [row.digest for row in rows]


def nonsense(key: SoftwareKey, options: str) -> list[str]:
    """Answers that are broken in every layer: text, JSON, base64, client data, authenticator data, CBOR."""
    good = json.loads(key.sign(options))
    broken = [
        "{",
        "[]",
        "null",
        "1",
        '"x"',
        "\0",
        "{}",
        "[" * 19_000,
        "x" * 20_001,
        '{"id":' * 3000,
        "\ud800",
        "9" * 9000,
    ]
    values: list[Any] = [
        None,
        7,
        [],
        {},
        "",
        "!",
        "\0",
        "é",
        "A",
        "====",
        b64(b"\0"),
        b64(b"\xff" * 3000),
        b64(b"[" * 5000),
    ]
    said: list[Any] = [{}, [], {"type": {}, "challenge": {}, "origin": {}}, 1e308]
    values += [b64(json.dumps(one).encode()) for one in said]
    for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        broken += [json.dumps({**good, "response": {**good["response"], name: value}}) for value in values]
    for name in ("id", "rawId", "type", "response", "authenticatorAttachment"):
        broken += [json.dumps({**good, name: value}) for value in values[:10]]
    return [one for one in broken if one != json.dumps(good)]


def test_nonsense_at_sign_in_is_refused_and_no_fault_of_ours() -> None:
    alice, key = give_passkey("alice")
    for answer in nonsense(key, asked(None).options):
        assert tried(asked(None).secret, answer, None) == NO, answer[:200]
    assert passkeys_of(alice)[0].sign_count == 0


KEYS: dict[str, Any] = {
    "empty": {},
    "no map": [1, 2],
    "a number": 7,
    "of an unknown sort": {1: 99, 3: -7},
    "of an unknown algorithm": {1: 2, 3: -999, -1: 1, -2: b"x" * 32, -3: b"y" * 32},
    "beside the curve": {1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32},
    "of short numbers": {1: 2, 3: -7, -1: 1, -2: b"", -3: b""},
    "of text": {1: 2, 3: -7, -1: 1, -2: "x", -3: "y"},
    "huge": {1: 3, 3: -257, -1: b"\xff" * 5000, -2: b"\x01\x00\x01"},
    "with a huge exponent": {1: 3, 3: -257, -1: b"\xff" * 512, -2: b"\xff" * 512},
    "of another curve": {1: 2, 3: -7, -1: 99, -2: b"x" * 32, -3: b"y" * 32},
}


@pytest.mark.parametrize("sort", KEYS)
def test_a_key_that_can_check_nothing_is_not_taken(sort: str) -> None:
    class Odd(SoftwareKey):
        @property
        def public_key(self) -> bytes:
            return cbor2.dumps(KEYS[sort])

    alice = make_account("alice")
    challenge = asked(alice, new=True)
    assert tried(challenge.secret, Odd().make(challenge.options), alice, new=True) == NOT_ADDED


def test_nonsense_at_registration_is_refused_and_no_fault_of_ours() -> None:
    alice, key = make_account("alice"), SoftwareKey()
    options = asked(alice, new=True).options
    good = json.loads(key.make(options))
    whole = cbor2.loads(unb64(good["response"]["attestationObject"]))
    objects: list[Any] = [b"", b"\xff", b"\x9f" * 9000, b"\xbf" * 5000, b"\x5b" + b"\xff" * 8, cbor2.dumps([])]
    odd: list[Any] = [None, 7, b"", "x", {"x": 1}, []]
    objects += [cbor2.dumps({**whole, name: value}) for name in whole for value in odd]
    objects += [cbor2.dumps({**whole, "authData": whole["authData"][:end]}) for end in (0, 36, 37, 40, 54, 60, 90)]
    objects += [cbor2.dumps({**whole, "authData": whole["authData"] + b"\0"})]
    objects += [cbor2.dumps({**whole, "fmt": name}) for name in ("packed", "tpm", "apple", "fido-u2f", "odd")]
    answers = [json.dumps({**good, "response": {**good["response"], "attestationObject": b64(one)}}) for one in objects]
    answers += nonsense(key, options)
    for answer in answers:
        if answer != json.dumps(good):
            assert tried(asked(alice, new=True).secret, answer, alice, new=True) == NOT_ADDED, answer[:200]


def test_an_id_longer_than_any_is_not_taken() -> None:
    alice = make_account("alice")
    for size, words in ((1023, ""), (1024, NOT_ADDED), (0, NOT_ADDED)):
        challenge = asked(alice, new=True)
        key = SoftwareKey(credential_id=b"x" * size)
        assert tried(challenge.secret, key.make(challenge.options), alice, new=True) == words, size


def test_no_answer_at_all_is_told_as_such() -> None:
    alice = make_account("alice")
    challenge = asked(None)
    for account, new in ((None, False), (alice, False), (alice, True)):
        assert "Passkeys need scripts" in tried(challenge.secret, "", account, new=new)
