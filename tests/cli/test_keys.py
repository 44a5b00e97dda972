"""`doorward keys`: the keys of users, as whoever runs the machine has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result

from portal.core import clock
from portal.core.database import db, transaction
from portal.keys.models import KeyUse
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.keys.letters import letters
from tests.people import make_account

Doorwards = Callable[..., Result]


@pytest.fixture(autouse=True)
def people(app: Doorward) -> None:
    """Alice is a user, Tess is at the desk."""
    make_account("alice")
    make_account("tess")
    db.session.remove()


@pytest.fixture
def told(doorward: Doorwards) -> Callable[..., Any]:
    """What a command on keys that went well printed."""

    def run(*words: str) -> Any:
        result = doorward("keys", *words)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


TERMS = ("--scope", "chat", "--scope", "embed", "--network", "::ffff:192.0.2.0/120", "--daily-limit", "9")


def test_a_key_is_made_printed_once_and_works(told: Callable[..., Any], machine: Callable[..., Machine]) -> None:
    made = told("create", "alice", "--name", "nightly", *TERMS, "--expires-in-days", "90")
    terms = {name: made[name] for name in ("name", "scopes", "networks", "daily_limit", "state")}
    assert terms == {
        "name": "nightly",
        "scopes": ["chat", "embed"],
        "networks": ["192.0.2.0/24"],
        "daily_limit": 9,
        "state": "active",
    }
    left = datetime.fromisoformat(made["expires_at"]) - clock.now()
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    answer = machine().post("/keys/verify", {"key": made["key"], "ip": "192.0.2.1", "scopes": ["chat"]})
    assert answer.get_json()["valid"]
    shown = told("show", made["prefix"])
    assert shown["id"] == made["id"]
    assert [one["id"] for one in told("list", "alice")] == [made["id"]]
    assert made["key"] not in json.dumps([shown, told("list", "alice")])


def test_a_key_is_changed_and_what_is_left_out_stays(told: Callable[..., Any]) -> None:
    made = told("create", "alice", "--name", "nightly", *TERMS)
    changed = told("change", made["id"], "--daily-limit", "none", "--any-scope", "--expires-in-days", "5")
    assert (changed["daily_limit"], changed["scopes"], changed["networks"]) == (None, [], ["192.0.2.0/24"])
    changed = told("change", made["id"], "--name", "daily", "--from-anywhere", "--expires-in-days", "never")
    assert (changed["name"], changed["networks"], changed["expires_at"]) == ("daily", [], None)
    changed = told("change", made["id"], "--scope", "read", "--network", "2001:DB8::/32")
    assert (changed["scopes"], changed["networks"]) == (["read"], ["2001:db8::/32"])


def test_a_key_is_replaced_and_who_still_calls_is_shown(told: Callable[..., Any]) -> None:
    old = told("create", "alice", "--name", "nightly")
    made = told("rotate", old["id"], "--overlap-s", "3600")
    assert made["key"] != old["key"]
    assert (made["replaces"]["id"], made["replaces"]["state"]) == (old["id"], "replaced")
    with transaction():
        now = clock.now()
        use = {"client_name": "gate", "address": "192.0.2.7", "count": 3, "first_at": now, "last_at": now}
        db.session.add(KeyUse(key_id=UUID(old["id"]), **use))
    (seen,) = told("show", old["id"])["uses"]
    assert (seen["client"], seen["address"], seen["count"]) == ("gate", "192.0.2.7", 3)


def test_a_key_is_revoked_and_twice_is_as_good_as_once(
    told: Callable[..., Any], machine: Callable[..., Machine]
) -> None:
    made = told("create", "alice", "--name", "nightly")
    assert [told("revoke", made["prefix"])["state"] for _ in range(2)] == ["revoked", "revoked"]
    assert machine().post("/keys/verify", {"key": made["key"]}).get_json()["code"] == "KEY_REVOKED"
    assert [letter["values"]["act"] for letter in letters("key_notice")] == ["made", "revoked"]


BAD: list[tuple[tuple[str, ...], str]] = [
    (("list", "nobody"), "nobody"),
    (("list", "tess"), "no user tess"),
    (("show", "dw_nothing"), "dw_nothing"),
    (("revoke", "nonsense"), "nonsense"),
    (("create", "tess", "--name", "x"), "no user tess"),
    (("create", "alice", "--name", " "), "name"),
    (("create", "alice", "--name", "x", "--scope", "Not A Scope"), "Not A Scope"),
    (("create", "alice", "--name", "x", "--network", "10.0.0.0/33"), "10.0.0.0/33"),
    (("create", "alice", "--name", "x", "--daily-limit", "-1"), "daily_limit"),
    (("create", "alice", "--name", "x", "--daily-limit", str(2**63)), "daily_limit"),
]


@pytest.mark.parametrize(("words", "named"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_is_wrong_is_one_line_and_nothing_is_made(
    words: tuple[str, ...], named: str, doorward: Doorwards, told: Callable[..., Any]
) -> None:
    done = doorward("keys", *words)
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert named in line
    assert told("list", "alice") == []


@pytest.mark.parametrize(
    "words", [("--daily-limit", "1.5"), ("--daily-limit", "1e308"), ("--expires-in-days", "0"), ("--daily-limit", "")]
)
def test_what_is_no_number_is_refused_by_its_option(words: tuple[str, str], doorward: Doorwards) -> None:
    done = doorward("keys", "create", "alice", "--name", "x", *words)
    assert done.exit_code == 2
    assert words[0] in done.stderr
    made = json.loads(doorward("keys", "create", "alice", "--name", "x").stdout)
    done = doorward("keys", "change", made["id"], words[0], "-5")
    assert done.exit_code == 2
    assert words[0] in done.stderr


def test_an_overlap_out_of_bounds_is_refused(doorward: Doorwards, told: Callable[..., Any]) -> None:
    made = told("create", "alice", "--name", "nightly")
    done = doorward("keys", "rotate", made["id"], "--overlap-s", "-1")
    assert (done.exit_code, "overlap_s" in done.stderr) == (1, True)
    assert [key["state"] for key in told("list", "alice")] == ["active"]
