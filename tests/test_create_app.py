"""create_app: open defaults closed, no table touched."""

from __future__ import annotations

from pathlib import Path

from portal import create_app
from portal.core.settings import load
from portal.web.frame import Doorward


def build(folder: Path, **given: object) -> Doorward:
    """An application for these settings."""
    return create_app(load({}, folder=folder, data_dir=folder / "data", log_level="error", **given))


def test_making_the_application_needs_no_database(tmp_path: Path) -> None:
    app = build(tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")
    assert app.test_client().get("/health/live").status_code == 200


def test_what_flask_leaves_open_is_closed(tmp_path: Path) -> None:
    config = build(tmp_path, site_url="https://desk.example.org").config
    assert config["SECRET_KEY"]
    assert config["SESSION_COOKIE_SECURE"]
    assert config["SESSION_COOKIE_HTTPONLY"]
    assert config["MAX_CONTENT_LENGTH"] == 8 * 1024 * 1024
    assert not config["DEBUG"]


def test_every_blueprint_says_for_whom_it_is(tmp_path: Path) -> None:
    app = build(tmp_path)
    assert {name.split(".")[0] for name in app.blueprints} <= set(app.extensions["audiences"])


def test_two_applications_keep_their_own_settings(tmp_path: Path) -> None:
    one, two = build(tmp_path / "1", site_name="One"), build(tmp_path / "2", site_name="Two")
    pages = [app.test_client().get("/sign-in").get_data(as_text=True) for app in (one, two, one)]
    assert [("One" in page, "Two" in page) for page in pages] == [(True, False), (False, True), (True, False)]
