"""The command line: JSON or a word on standard output; one line and a code on standard error when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from portal import create_app
from portal.cli import main
from portal.core.database import db
from portal.core.settings import load
from tests.people import PASSWORD
from tests.servers import free_port
from tests.visitor import Visitor

Doorwards = Callable[..., Result]


@pytest.fixture
def doorward(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorwards:
    """Run the command on a fresh database: `doorward("jobs", "list")`."""
    monkeypatch.chdir(tmp_path)
    settings = {"DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": database_url, "BCRYPT_COST": "4"}

    def run(*words: str, typed: str | None = None, **env: str) -> Result:
        return CliRunner().invoke(main, list(words), input=typed, env={**settings, **env})

    return run


ADMIN = ("create-admin", "--username", "root", "--email", "root@example.org")


def test_create_admin_makes_one_who_can_sign_in(doorward: Doorwards, database_url: str, tmp_path: Path) -> None:
    made = json.loads(doorward(*ADMIN).stdout)
    app = create_app(
        load({}, folder=tmp_path, data_dir=tmp_path / "data", database_url=database_url, log_level="error")
    )
    visitor = Visitor(app.test_client())
    assert visitor.sign_in("root", made["password"]).path == "/admin"
    assert visitor.get("/admin/admins").status == 200
    with app.app_context():
        db.engine.dispose()


def test_a_password_from_standard_input_is_not_printed(doorward: Doorwards) -> None:
    done = doorward(*ADMIN, "--password-stdin", typed=PASSWORD + "\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.output


BAD: list[tuple[tuple[str, ...], str]] = [
    ((*ADMIN, "--password-stdin"), "password"),
    (("create-admin", "--username", "a@b", "--email", "root@example.org"), "username"),
    (("create-admin", "--username", "root", "--email", "nonsense"), "email"),
    (("client", "create", "--name", "gate", "--scope", "everything"), "scope"),
    (("client", "create", "--name", " ", "--scope", "keys:verify"), "name"),
    (("jobs", "run", "unheard-of"), "unheard-of"),
    (("users", "show", "nobody"), "nobody"),
    (("plans", "create", "--name", "Not This"), "name"),
    (("plans", "create", "--name", "free"), "name"),
    (("plans", "create", "--name", "fine", "--daily-limit", "2000000"), "daily_limit"),
    (("credits", "grant", "nobody", "5", "--reason", "why"), "nobody"),
    (("credits", "list", "nobody"), "nobody"),
    (("account", "reset-link", "nobody"), "nobody"),
    (("account", "unlock", "nobody"), "nobody"),
    (("account", "reset-factor", "nobody"), "nobody"),
]


@pytest.mark.parametrize(("words", "named"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_is_wrong_is_one_line_and_a_code(words: tuple[str, ...], named: str, doorward: Doorwards) -> None:
    done = doorward(*words, typed="short\n")
    assert done.exit_code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("doorward: ")
    assert named in line


@pytest.mark.parametrize(("name", "value"), [("PORT", "80x"), ("REGISTRATION", "maybe"), ("DATABASE_URL", "mysql://x")])
def test_a_wrong_setting_is_named_and_nothing_starts(name: str, value: str, doorward: Doorwards) -> None:
    done = doorward("jobs", "list", **{name: value})
    assert done.exit_code == 2
    assert name in done.stderr
    assert "Traceback" not in done.output


def test_routes_lists_every_route_with_its_audience(doorward: Doorwards, tmp_path: Path) -> None:
    listed = json.loads(doorward("routes", "--json").stdout)
    app = create_app(load({}, folder=tmp_path, data_dir=tmp_path, database_url="", log_level="error"))
    assert {row["endpoint"] for row in listed} == {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {row["audience"] for row in listed} == {"public", "account", "staff", "admin", "machine", "ops"}
    unguarded = {
        row["route"] for row in listed if row["audience"] in {"staff", "admin", "machine"} and not row["capability"]
    }
    assert unguarded == set()
    plain = doorward("routes").stdout.splitlines()
    assert len(plain) == len(listed)


def test_client_token_is_printed_once_and_never_listed(doorward: Doorwards) -> None:
    made = json.loads(doorward("client", "create", "--name", "gate", "--scope", "keys:verify").stdout)
    assert made["scopes"] == ["keys:verify"]
    listed = doorward("client", "list").stdout
    assert made["id"] in listed
    assert made["token"] not in listed


def test_jobs_run_says_what_came_of_it(doorward: Doorwards) -> None:
    assert doorward("jobs", "run", "reset_daily_limits").stdout == "closed 0\n"
    assert "reset_daily_limits     done" in doorward("jobs", "list").stdout


def test_plans_are_made_and_listed(doorward: Doorwards) -> None:
    doorward("plans", "create", "--name", "trial", "--daily-limit", "3")
    listed = {plan["name"]: plan["daily_limit"] for plan in json.loads(doorward("plans", "list").stdout)}
    assert listed["trial"] == 3
    assert {"free", "plus"} <= set(listed)


def test_a_reset_link_is_made_for_an_admin_who_is_locked_out(doorward: Doorwards) -> None:
    doorward(*ADMIN)
    assert "/reset/" in doorward("account", "reset-link", "root", SMTP_URL="none").stdout
    assert doorward("account", "unlock", "root").stdout == "root may try again\n"


def test_other_encryption_keys_are_refused_by_name_before_anything_is_done(doorward: Doorwards) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    assert doorward(*ADMIN, ENCRYPTION_KEYS=first).exit_code == 0
    another = ("create-admin", "--username", "second", "--email", "second@example.org")
    for words in (another, ("serve", "--port", str(free_port())), ("check",), ("seed", "--users", "1")):
        done = doorward(*words, ENCRYPTION_KEYS=second)
        assert done.exit_code == 2, done.output
        assert "ENCRYPTION_KEYS: did not seal what this database holds" in done.stderr
        assert first not in done.output and second not in done.output
    assert "ok       keys: " in doorward("check", ENCRYPTION_KEYS=f"{second},{first}").stdout
    assert doorward(*another, ENCRYPTION_KEYS=f"{second},{first}").exit_code == 0
