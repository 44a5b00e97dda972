"""One record a line, whatever was typed into it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portal import create_app
from portal.core.settings import Settings, load
from portal.web.frame import Doorward
from tests.visitor import Visitor

UNRULY = [
    "%0aFORGED",
    "%0d%0aFORGED",
    "%1b[2J",
    "%e2%80%a8FORGED",
    "%c2%85FORGED",
    "%e2%80%aeFORGED",
    "%00",
    "%9bFORGED",
]


def logged(folder: Path, capsys: pytest.CaptureFixture[str], shape: str) -> str:
    """What the log says of requests for unruly paths."""
    app = create_app(load({}, folder=folder, data_dir=folder, log_format=shape, log_level="info"))
    for path in UNRULY:
        app.test_client().get(f"/a{path}")
    printed = capsys.readouterr().err
    with capsys.disabled():
        create_app(load({}, folder=folder, data_dir=folder, log_level="error"))
    return printed


@pytest.mark.parametrize("shape", ["console", "json"])
def test_a_path_forges_no_line_and_moves_no_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: str
) -> None:
    printed = logged(tmp_path, capsys, shape)
    assert len(printed.splitlines()) == len(UNRULY)
    assert all("request" in line for line in printed.splitlines())
    assert printed.replace("\n", "").isprintable()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("setting", [{"log_level": "info", "log_format": shape} for shape in ("console", "json")])
def test_a_name_and_a_browser_forge_no_line(
    app: Doorward, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    create_app(settings)  # once more, so that the log goes where this test looks
    visitor = Visitor(app.test_client())
    page = visitor.get("/sign-in")
    capsys.readouterr()
    token = next(field.get("value") for field in page.tree.iter("input") if field.get("name") == "csrf_token")
    for unruly in ("a\r\nFORGED", "a\x1b[2J", "a\u2028FORGED", "a\x85FORGED", "a\u202eFORGED"):
        browser = {"HTTP_USER_AGENT": unruly.encode().decode("latin-1")}
        fields = {"csrf_token": token, "name": unruly, "password": unruly}
        assert visitor.client.post("/sign-in", data=fields, environ_overrides=browser).status_code == 422
    printed = capsys.readouterr().err
    with capsys.disabled():
        create_app(settings.model_copy(update={"log_level": "error"}))
    assert len(printed.splitlines()) == len(printed.split("\n")) - 1 == 5
    assert printed.replace("\n", "").isprintable()
    assert "FORGED" not in printed


def test_json_is_json_and_names_the_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in logged(tmp_path, capsys, "json").splitlines():
        entry = json.loads(line)
        assert (entry["event"], entry["status"], len(entry["request_id"])) == ("request", 404, 32)
