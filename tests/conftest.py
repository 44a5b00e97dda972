"""What every test may ask for: an application on a fresh database (SQLite and PostgreSQL), visitors, machines."""

from __future__ import annotations

import contextvars
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from flask import has_app_context
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import make_url, select
from werkzeug.test import TestResponse

from portal import create_app
from portal.accounts.models import Account, State
from portal.clients.service import create_client
from portal.core import access, clock
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.core.settings import Settings, load
from portal.core.settings import current as current_settings
from portal.keys.service import build_key
from portal.messages.spool import spool_of
from portal.migrating import migrate as migrate_app
from portal.signin.devices import Browser
from portal.signin.entry import Entered, admit
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token
from portal.tokens.families import begin_family
from portal.web.frame import Doorward
from portal.web.identity import COOKIE_KEY
from tests.builders import share_builders
from tests.described import check_answer
from tests.people import make_account
from tests.postgres import PostgresServer
from tests.servers import Server, running_server
from tests.visitor import Visitor

DATABASES = ("sqlite", "postgresql")
# Nearly all there is stays to the end: to look for garbage among it at the usual pace takes a quarter of the time.
gc.set_threshold(200_000, 20, 10)
share_builders()
gc.collect()
gc.freeze()


def migrate(url: str, folder: Path) -> None:
    """Bring an empty database up to date."""
    migrate_app(create_app(load({}, folder=folder, data_dir=folder, database_url=url)))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    folder = tmp_path_factory.mktemp("template")
    migrate(f"sqlite:///{folder / 'template.sqlite3'}", folder)
    return folder / "template.sqlite3"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real PostgreSQL with a migrated template."""
    folder = tmp_path_factory.mktemp("postgres")
    with PostgresServer.open() as server:
        server.prepare_template(lambda url: migrate(url, folder))
        yield server


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Take pytest-flask's context around each test away: `g` and the signed-in person would leak between requests."""


def new_database(request: pytest.FixtureRequest, kind: str, folder: Path, like: str | None = None) -> str:
    """The URL of a migrated database of this sort, with nothing in it; or of a copy of the one at the URL `like`.

    It goes with the folder, or with the server.
    """
    if kind == "sqlite":
        path = folder / "doorward.sqlite3"
        shutil.copy(make_url(like).database or "" if like else request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database(like)


@contextmanager
def fresh_database(request: pytest.FixtureRequest, kind: str, folder: Path, like: str | None = None) -> Iterator[str]:
    """The same for one test: afterwards it is gone."""
    url = new_database(request, kind, folder, like)
    yield url
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        server.drop_database(url)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of each sort."""
    with fresh_database(request, request.param, tmp_path) as url:
        yield url


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of this test, given by `@pytest.mark.parametrize("setting", [{…}])` or a fixture of that name."""
    return {}


@pytest.fixture
def settings(database_url: str, tmp_path: Path, setting: dict[str, Any]) -> Settings:
    """Settings for a test: cheap hashes, quiet, no mail leaves."""
    return settings_for(database_url, tmp_path, setting)


def settings_for(database_url: str, folder: Path, given: dict[str, Any]) -> Settings:
    """Settings for a test that keeps its things in this folder."""
    given = {"bcrypt_cost": 4, "log_level": "error", "smtp_url": "none", "durability": "process", **given}
    return load({}, folder=folder, data_dir=folder / "data", database_url=database_url, **given)


class ApartClient(FlaskClient):
    """Sends each request in a context of its own, as a server does: what one request leaves in `g` (who acts, that
    there is no viewer) and in its database session is not the next one's. The test sees the rows as they are then.
    What the API answers is held against its document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request."""
        answer = contextvars.Context().run(super().open, *args, **kwargs)
        check_answer(self.application, answer)
        if has_app_context():
            db.session.expire_all()
        return answer


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates are compiled once, not anew for the application of each test."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(settings: Settings, compiled_templates: FileSystemBytecodeCache) -> Iterator[Doorward]:
    """The application, with its context pushed for the test itself (requests push their own)."""
    with running_app(settings, compiled_templates) as made:
        yield made
    clock.shift(timedelta(0))


@contextmanager
def running_app(settings: Settings, compiled_templates: FileSystemBytecodeCache) -> Iterator[Doorward]:
    """An application with its context pushed; afterwards nothing of it is open."""
    made = create_app(settings)
    made.jinja_env.bytecode_cache = compiled_templates
    made.config["TESTING"] = False
    made.test_client_class = ApartClient
    with made.app_context():
        yield made
        spool_of(settings).close()
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def served(app: Doorward, settings: Settings, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A real `doorward serve` on the data of the test, beside the application inside it; with two workers by
    `@pytest.mark.parametrize("served", [2], indirect=True)`."""
    given = {"DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir), "DURABILITY": "process"}
    with running_server(given, workers=getattr(request, "param", 1)) as server:
        yield server


@pytest.fixture
def visitor(app: Doorward) -> Visitor:
    """Somebody with a browser, not signed in."""
    return Visitor(app.test_client())


def signed_in(app: Doorward, name: str) -> Visitor:
    """A browser in which this person has signed in with the password: the same rows and cookies as through the form,
    which the tests of signing in walk. Who owes a factor, or may not come in like that, goes through the form.
    """
    visitor = Visitor(app.test_client())
    account = db.session.scalars(select(Account).where(Account.username_canonical == name)).one()
    own_settings = current_settings()
    if account.state != State.ACTIVE or account.has_factor or own_settings.require_factor:
        page = visitor.sign_in(name)
        assert page.status == 200, page.text
        return visitor
    came = nobody("127.0.0.1", new_id().hex)
    with transaction():
        entered = admit(came, account, Browser(f"Werkzeug/{version('werkzeug')}"), method="password")
    assert isinstance(entered, Entered)
    with visitor.client.session_transaction() as cookie:
        cookie[COOKIE_KEY] = entered.secret
        cookie.permanent = True
    name_of_device = "__Host-doorward-device" if own_settings.secure_cookies else "doorward-device"
    visitor.client.set_cookie(name_of_device, entered.device_secret, secure=own_settings.secure_cookies)
    return visitor


@pytest.fixture
def person(app: Doorward) -> Callable[..., Visitor]:
    """Make a person of the tests and sign them in: `person("alice")`. With `session=False` only make them."""

    def make(name: str, **columns: object) -> Visitor:
        make_account(name, **columns)
        return signed_in(app, name)

    return make


@dataclass
class Machine:
    """A service client, or an account by an access token, calling the API."""

    client: FlaskClient
    token: str | None

    def headers(self) -> dict[str, str]:
        """Its credential."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        """GET under /api/v1. Here and below: `headers` go beside the credential."""
        return self._call("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        """POST under /api/v1."""
        return self._call("POST", path, json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        """PATCH under /api/v1."""
        return self._call("PATCH", path, json, **kwargs)

    def delete(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        """DELETE under /api/v1."""
        return self._call("DELETE", path, json, **kwargs)

    def _call(
        self, method: str, path: str, json: Any = None, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> TestResponse:
        if json is not None:
            kwargs["json"] = json
        return self.client.open(
            f"/api/v1{path}", method=method, headers={**self.headers(), **(headers or {})}, **kwargs
        )


@pytest.fixture
def caller(app: Doorward) -> Callable[..., Machine]:
    """A person of the tests with a program that has a fresh access token: `caller("alice")`. They are made if they
    are not there yet; the same rows as through the token endpoint, which the tests of tokens walk.
    """

    def make(name: str, **columns: object) -> Machine:
        account = db.session.scalars(select(Account).where(Account.username_canonical == name)).one_or_none()
        account = account or make_account(name, **columns)
        with transaction():
            family, _ = begin_family(account, address="127.0.0.1", device="tests", method="password", proven=True)
        token = make_access_token(account.id, kind=account.kind, scope=ACCOUNT_SCOPE, family_id=family.id)
        return Machine(app.test_client(), token)

    return make


@pytest.fixture
def machine(app: Doorward) -> Callable[..., Machine]:
    """A service client with these scopes (all of them by default)."""
    return machines_of(app)


def machines_of(app: Doorward) -> Callable[..., Machine]:
    """What makes service clients of this application."""

    def make(*scopes: str, name: str = "gate") -> Machine:
        with transaction():
            _, token = create_client(operator_actor(), name=name, scopes=list(scopes or access.SCOPES))
        return Machine(app.test_client(), token)

    return make


@pytest.fixture
def key_of(app: Doorward) -> Callable[..., str]:
    """A fresh API key of an account: `key_of(account)`."""
    return make_key


def make_key(account: Any, name: str = "test key") -> str:
    """A fresh API key of an account."""
    with transaction():
        made = build_key(account.id, name)
        db.session.add(made.key)
    return made.secret


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave browser tests out where there is no browser and nobody demands one."""
    if os.environ.get("TEST_CHROMIUM") or os.environ.get("CI"):
        return
    if shutil.which("chromium"):
        return
    items[:] = [item for item in items if item.get_closest_marker("browser") is None]
