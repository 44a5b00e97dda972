"""The keys that sign access tokens: made once, put in the place of each other while programs go on, read with care."""

from __future__ import annotations

import json
import os
import stat
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.core.settings import current
from portal.tokens import access_tokens
from portal.tokens.access_tokens import audience, make_access_token, read_access_token
from portal.tokens.rotating import rotate_signing_key, state_of_keys
from portal.tokens.signing_keys import RETIRES_AFTER, checking_keys, folder_of_keys, key_set, make_key, signing_key
from tests.people import make_account
from tests.races import race

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.web.frame import Doorward
    from tests.conftest import Machine
    from tests.servers import Server

PUBLIC = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BARE = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def token() -> str:
    """A token of nobody's."""
    return make_access_token(new_id(), kind="user", scope="account", family_id=new_id())


def test_one_key_is_made_and_another_takes_its_place(app: Doorward) -> None:
    race(8, lambda _: signing_key_in(app))
    files = list(folder_of_keys().iterdir())
    assert (len(files), stat.S_IMODE(folder_of_keys().stat().st_mode)) == (1, 0o700)
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    first, old = signing_key().kid, token()
    with transaction():
        made, dropped = rotate_signing_key(operator_actor())
    assert (dropped, made.kid != first, signing_key().kid) == (0, True, made.kid)
    new = token()
    assert jwt.get_unverified_header(new)["kid"] == made.kid
    assert read_access_token(old) and read_access_token(new)
    assert [key["kid"] for key in key_set()["keys"]] == [made.kid, first]
    assert not any("d" in key for key in key_set()["keys"])
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "signing_key.rotated")).one()
    assert (entry.actor_kind, entry.facts) == ("operator", {"kid": made.kid})
    # The former one is told and taken for as long as anything that it signed can be good, and then it goes.
    clock.shift(RETIRES_AFTER - timedelta(seconds=1))
    assert len(checking_keys()) == 2
    clock.shift(RETIRES_AFTER + timedelta(seconds=1))
    assert [key.kid for key in checking_keys()] == [made.kid]
    with transaction():
        assert rotate_signing_key(operator_actor())[1] == 1


def signing_key_in(app: Doorward) -> str:
    """The key as a thread of its own finds it."""
    with app.app_context():
        return signing_key().kid


def test_changes_within_one_tick_of_the_file_system_are_noticed(app: Doorward) -> None:
    first = make_key()
    folder = folder_of_keys()
    before = folder.stat()
    assert signing_key().kid == first.kid
    second = make_key()
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert signing_key().kid == second.kid
    second.path.unlink()
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [key.kid for key in checking_keys()] == [first.kid]


def test_a_token_that_was_read_before_goes_with_its_key_and_its_time(
    app: Doorward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "MOST_PROVED", 3)
    key, old = make_key(), token()
    assert [read_access_token(old) is not None for _ in range(3)] == [True] * 3
    for _ in range(5):  # more than are remembered
        assert read_access_token(token()) is not None
    assert read_access_token(old) is not None
    clock.shift(timedelta(seconds=current().access_token_ttl_s + 31))
    assert read_access_token(old) is None
    clock.shift(timedelta(0))
    assert read_access_token(old) is not None
    kept = key.path.read_bytes()
    key.path.unlink()
    assert read_access_token(old) is None
    make_key()
    assert read_access_token(old) is None
    assert read_access_token("a.b.c") is None
    key.path.write_bytes(kept)  # read anew, it proves the same again
    assert read_access_token(old) is not None


@pytest.mark.parametrize("setting", [{"token_algorithm": "RS256"}])
def test_rs256_by_setting(app: Doorward) -> None:
    made = token()
    assert jwt.get_unverified_header(made)["alg"] == "RS256"
    assert read_access_token(made) is not None
    published = key_set()["keys"]
    assert [key["kty"] for key in published] == ["RSA"]
    checked = jwt.decode(made, jwt.PyJWK(published[0]).key, algorithms=["RS256"], audience=audience())
    assert checked["kind"] == "user"
    # A token of the other algorithm, by a key that lies in the same folder, is none.
    head, body, _ = made.split(".")
    assert read_access_token(f"{head}.{body}.") is None


def test_what_is_no_key_of_ours_is_left_aside_and_a_folder_that_cannot_be_read_is_said(
    app: Doorward, caller: Callable[..., Machine]
) -> None:
    assert state_of_keys()[0] == "ok"
    assert not folder_of_keys().exists(), "looking makes nothing"
    machine = caller("ada")
    assert machine.get("/audit").status_code == 200
    folder, good = folder_of_keys(), signing_key()
    texts = {
        "empty": b"",
        "cut": good.path.read_bytes()[:60],
        "public": Ed25519PrivateKey.generate().public_key().public_bytes(*PUBLIC),
        "x25519": X25519PrivateKey.generate().private_bytes(*BARE),
    }
    for name, text in texts.items():
        (folder / f"29990101T000000000000Z-{name}.pem").write_bytes(text)
    (folder / "key.pem").write_bytes(good.path.read_bytes())
    assert signing_key().kid == good.kid
    assert machine.get("/audit").status_code == 200
    state, words = state_of_keys()
    assert state == "warning"
    assert all(name in words for name in [*texts, "key.pem"])
    for path in set(folder.iterdir()) - {good.path}:
        path.unlink()
    good.path.chmod(0o644)
    assert (state_of_keys()[0], "chmod 600" in state_of_keys()[1]) == ("warning", True)
    good.path.chmod(0o600)
    assert state_of_keys() == ("ok", f"1 of EdDSA; the newest was made {good.made_at.isoformat(timespec='seconds')}")
    # A file that is there and cannot be read, as without the rights to it: nobody is told that their token is wrong.
    unreadable = folder / "29990101T000000000000Z-folder.pem"
    unreadable.mkdir()
    refused_by_all(machine)
    unreadable.rmdir()
    kept = folder.rename(folder.with_name("kept"))
    folder.write_text("no folder")
    refused_by_all(machine)
    folder.unlink()
    kept.rename(folder)
    assert machine.get("/audit").status_code == 200


def refused_by_all(machine: Machine) -> None:
    """All that wants the keys says that it cannot be done now."""
    assert state_of_keys()[0] == "down"
    answers = [
        machine.get("/audit"),
        machine.client.get("/.well-known/jwks.json"),
        machine.client.post(
            "/api/v1/auth/token",
            data={"grant_type": "password", "username": "ada", "password": "seven quiet lanterns 42"},
        ),
    ]
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
    assert answers[2].get_json()["error"] == "temporarily_unavailable"
    with pytest.raises(Unavailable):
        checking_keys()


def test_a_rotation_while_servers_run_signs_nobody_out(served: Server) -> None:
    make_account("ada")
    form = {"grant_type": "password", "username": "ada", "password": "seven quiet lanterns 42"}
    status, tokens = post_form(served, form)
    assert status == 200
    first, kids = tokens["access_token"], {jwt.get_unverified_header(tokens["access_token"])["kid"]}
    told = json.loads(served.command("rotate", "signing-key"))
    assert opens(served, first)
    status, tokens = post_form(served, {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert (status, jwt.get_unverified_header(tokens["access_token"])["kid"]) == (200, told["kid"])
    assert opens(served, tokens["access_token"])
    with served.caller() as nobody:
        listed = {key["kid"] for key in nobody.get("/.well-known/jwks.json")[1]["keys"]}
    assert listed == {*kids, told["kid"]}
    assert len(listed) == 2


def opens(server: Server, token: str) -> bool:
    """Whether the token is good there."""
    with server.caller(token) as caller:
        return bool(caller.get("/api/v1/audit")[0] == 200)


def post_form(server: Server, form: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Ask for tokens."""
    body = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in form.items()).encode()
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    with server.caller() as caller:
        status, answer, _ = caller.request("POST", "/api/v1/auth/token", body, sent)
    return status, json.loads(answer)
