"""Every bit of what an authenticator answers counts: turned over, it opens nothing."""

from __future__ import annotations

import json

import pytest

from portal.signin.passkeys import passkeys_of
from tests.passkeys import give_passkey
from tests.signin.test_passkeys import NO, asked, tried
from tests.software_key import SoftwareKey, b64, unb64

pytestmark = pytest.mark.usefixtures("app")
FIELDS = ("authenticatorData", "clientDataJSON", "signature", "userHandle")


@pytest.mark.parametrize("part", FIELDS)
def test_an_answer_with_one_bit_turned_over_is_refused(part: str) -> None:
    alice, key = give_passkey("alice")
    length = len(unb64(json.loads(key.sign(asked(None).options))["response"][part]))
    for bit in range(8 * min(length, 200)):
        challenge = asked(None)
        answer = json.loads(key.sign(challenge.options))
        told = bytearray(unb64(answer["response"][part]))
        if bit // 8 >= len(told):
            continue  # signatures differ in length by a byte or two
        told[bit // 8] ^= 1 << bit % 8
        answer["response"][part] = b64(bytes(told))
        assert tried(challenge.secret, json.dumps(answer), None) == NO, bit
    assert passkeys_of(alice)[0].sign_count == 0


def test_an_id_with_one_bit_turned_over_is_refused() -> None:
    _, key = give_passkey("alice")
    name = key.credential_id
    for bit in range(8 * len(name)):
        told = bytearray(name)
        told[bit // 8] ^= 1 << bit % 8
        challenge = asked(None)
        key.credential_id = bytes(told)
        assert tried(challenge.secret, key.sign(challenge.options), None) == NO, bit


def test_a_hundred_passkeys_of_a_hundred_people_are_told_apart() -> None:
    people = [give_passkey(f"user-{number}", SoftwareKey()) for number in range(100)]
    for number, (account, key) in enumerate(people):
        challenge = asked(account)
        other = people[(number + 1) % len(people)][1]
        assert tried(challenge.secret, other.sign(challenge.options), account) == NO
        challenge = asked(account)
        assert tried(challenge.secret, key.sign(challenge.options), account) == ""
