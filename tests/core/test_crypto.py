"""Seals open only where they were made; signatures only for their purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from portal.core import crypto, settings
from portal.core.crypto import BadSeal

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@contextmanager
def running(folder: Path, **given: object) -> Iterator[None]:
    settings.enter(settings.load({}, folder=folder, data_dir=folder, **given))
    try:
        yield
    finally:
        settings.leave()


def test_what_was_sealed_opens_again_and_is_not_readable(tmp_path: Path) -> None:
    with running(tmp_path):
        sealed = crypto.seal({"email": "alice@example.org"}, place="deleted_users:1")
        assert "alice" not in sealed
        assert crypto.unseal(sealed, place="deleted_users:1") == {"email": "alice@example.org"}


def test_the_same_value_never_looks_the_same(tmp_path: Path) -> None:
    with running(tmp_path):
        assert crypto.seal({"a": 1}, place="p") != crypto.seal({"a": 1}, place="p")


def test_a_seal_that_was_moved_to_another_row_is_detected(tmp_path: Path) -> None:
    with running(tmp_path):
        sealed = crypto.seal({"balance": 5}, place="outbox:1")
        with pytest.raises(BadSeal):
            crypto.unseal(sealed, place="outbox:2")


@pytest.mark.parametrize("at", [5, 20, 60, -10])
def test_a_seal_that_was_tampered_with_is_detected(tmp_path: Path, at: int) -> None:
    with running(tmp_path):
        sealed = list(crypto.seal({"balance": 5}, place="p"))
        sealed[at] = "A" if sealed[at] != "A" else "B"
        with pytest.raises(BadSeal):
            crypto.unseal("".join(sealed), place="p")


@pytest.mark.parametrize("nonsense", ["", "x", "gAAAA", "\u00e9"])
def test_nonsense_is_no_seal(tmp_path: Path, nonsense: str) -> None:
    with running(tmp_path), pytest.raises(BadSeal):
        crypto.unseal(nonsense, place="p")


def test_after_a_rotation_old_seals_open_and_new_ones_need_the_new_key(tmp_path: Path) -> None:
    with running(tmp_path, encryption_keys=[OLD]):
        before = crypto.seal({"n": 1}, place="p")
    with running(tmp_path, encryption_keys=[NEW, OLD]):
        assert crypto.unseal(before, place="p") == {"n": 1}
        after = crypto.seal({"n": 2}, place="p")
    with running(tmp_path, encryption_keys=[NEW]):
        assert crypto.unseal(after, place="p") == {"n": 2}
        with pytest.raises(BadSeal):
            crypto.unseal(before, place="p")


def test_a_signature_is_for_one_purpose(tmp_path: Path) -> None:
    with running(tmp_path):
        signed = crypto.sign(["after", 7], purpose="cursor-users")
        assert crypto.unsign(signed, purpose="cursor-users") == ["after", 7]
        assert crypto.unsign(signed, purpose="cursor-audit") is None
        assert crypto.unsign(signed[:-1], purpose="cursor-users") is None
        assert crypto.unsign("\u00e9\0nonsense", purpose="cursor-users") is None


def test_a_former_secret_key_is_accepted_but_signs_no_more(tmp_path: Path) -> None:
    with running(tmp_path, secret_key="old" * 15):
        before = crypto.sign("x", purpose="p")
    with running(tmp_path, secret_key="new" * 15, secret_key_fallbacks=["old" * 15]):
        assert crypto.unsign(before, purpose="p") == "x"
        after = crypto.sign("x", purpose="p")
    with running(tmp_path, secret_key="old" * 15):
        assert crypto.unsign(after, purpose="p") is None
    with running(tmp_path, secret_key="new" * 15):
        assert crypto.unsign(before, purpose="p") is None
        assert crypto.unsign(after, purpose="p") == "x"


def test_a_keyed_digest_depends_on_purpose_text_and_installation(tmp_path: Path) -> None:
    with running(tmp_path, secret_key="one" * 15):
        here = crypto.keyed_digest("reserved-username", "alice")
        assert crypto.keyed_digest("reserved-username", "alice") == here
        assert crypto.keyed_digest("reserved-email", "alice") != here
        assert crypto.keyed_digest("reserved-username", "bob") != here
    with running(tmp_path, secret_key="two" * 15):
        assert crypto.keyed_digest("reserved-username", "alice") != here
