"""Recovery codes: digests only, each once, the owner told, new ones void the old."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from portal.core.database import db, transaction
from portal.core.errors import Conflict
from portal.signin import recovery
from portal.signin.factors import factors_of
from portal.signin.models import RecoveryCode
from portal.signin.recovery import canonical_code, codes_made_at, renew_recovery_codes, use_recovery_code
from tests.keys.letters import letters
from tests.people import actor_named, make_account
from tests.races import race
from tests.signin.phones import account_of, make_enrolled

if TYPE_CHECKING:
    from portal.web.frame import Doorward


def used(name: str, code: str) -> bool:
    """Whether the code was taken, in a transaction of its own."""
    with transaction():
        return use_recovery_code(account_of(name), code, address="203.0.113.9", request_id="test")


def renew(name: str) -> list[str]:
    """New codes for this person."""
    with transaction():
        return renew_recovery_codes(actor_named(name)).codes


def test_ten_codes_of_a_hundred_bits_in_groups(app: Doorward) -> None:
    _, codes = make_enrolled("alice")
    assert len(set(codes)) == recovery.COUNT == 10
    assert len(recovery.ALPHABET) ** (recovery.GROUPS * recovery.GROUP) == 2**100
    for code in codes:
        assert [len(group) for group in code.split("-")] == [5, 5, 5, 5]
        assert not set(code) & set("ILOU")
    assert factors_of(account_of("alice").id).recovery_codes == 10
    assert codes_made_at(actor_named("alice")) is not None


def test_only_digests_are_kept_and_no_two_accounts_share_one(app: Doorward) -> None:
    _, codes = make_enrolled("alice")
    kept = db.session.scalars(select(RecoveryCode.digest)).all()
    assert all(len(digest) == 32 for digest in kept)
    rows = str(db.session.execute(text("SELECT * FROM recovery_codes")).all())
    assert not any(code in rows or code.replace("-", "") in rows for code in codes)
    make_enrolled("bob")
    assert not used("bob", codes[0])
    assert used("alice", codes[0])


def test_each_works_once_and_the_owner_is_told_how_many_are_left(app: Doorward) -> None:
    _, codes = make_enrolled("alice")
    assert used("alice", codes[3])
    assert not used("alice", codes[3])
    assert factors_of(account_of("alice").id).recovery_codes == 9
    told = [letter for letter in letters("notice") if "recovery code was used" in letter["text"]]
    assert len(told) == 1
    assert "9 are left" in told[0]["text"]
    assert told[0]["to"] == "alice@example.org"


def test_of_twenty_at_once_one_is_right(app: Doorward) -> None:
    _, codes = make_enrolled("alice")

    def attempt(_: int) -> bool:
        with app.app_context():
            return used("alice", codes[0])

    assert Counter(race(20, attempt)) == {True: 1, False: 19}
    assert factors_of(account_of("alice").id).recovery_codes == 9


def test_new_codes_void_the_old(app: Doorward) -> None:
    _, old = make_enrolled("alice")
    new = renew("alice")
    assert not set(old) & set(new)
    assert not any(used("alice", code) for code in old)
    assert used("alice", new[0])
    assert factors_of(account_of("alice").id).recovery_codes == 9
    assert any("New recovery codes" in letter["text"] for letter in letters("notice"))


def test_without_a_factor_there_are_none(app: Doorward) -> None:
    make_account("alice")
    with pytest.raises(Conflict):
        renew_recovery_codes(actor_named("alice"))
    db.session.rollback()
    assert factors_of(account_of("alice").id).recovery_codes == 0


def test_codes_may_be_typed_as_they_are_read(app: Doorward) -> None:
    _, codes = make_enrolled("alice")
    assert used("alice", codes[0].lower())
    assert used("alice", codes[1].replace("-", " "))
    assert used("alice", f"  {codes[2].replace('-', '')}\t")
    assert used("alice", codes[3].replace("0", "o").replace("1", "l"))


@pytest.mark.parametrize(
    "typed", ["", "123456", "ABCDE-ABCDE-ABCDE-ABCD", "ABCDE-ABCDE-ABCDE-ABCDU", "A" * 5000, "\0" * 20, "ä" * 20]
)
def test_what_has_not_the_shape_of_a_code_is_none(typed: str) -> None:
    assert canonical_code(typed) is None
