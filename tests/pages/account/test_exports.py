"""/account/exports: a small one is the answer, a large one is made, watched, fetched, stopped and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from portal.core.tables import read_csv
from portal.jobs.table import JOBS
from tests.people import make_account
from tests.visitor import SeenPage, Visitor

Talk = Callable[..., None]
Browser = Callable[[str], Visitor]
LIST = "/account/exports"
LARGE = pytest.mark.parametrize("setting", [{"export_most_streamed": 1}])


@pytest.fixture
def alice(talk: Talk, browser: Browser) -> Visitor:
    """Alice, who said three things."""
    make_account("alice")
    make_account("bob")
    talk("bob", "a lantern of Bob")
    talk("alice", "a lantern", conversation_id="c-1", timestamp="2026-01-01T22:30:00Z")
    talk("alice", "=1+1", model="m-2", timestamp="2026-01-02T10:00:00Z")
    talk("alice", "a lighthouse", timestamp="2026-01-03T10:00:00Z")
    return browser("alice")


def ask(visitor: Visitor, **fields: Any) -> SeenPage:
    """Fill the form."""
    return visitor.send(visitor.get(f"{LIST}/new"), fields)


def work_off() -> None:
    """Run the job."""
    JOBS["do_long_works"].work()


def fetch_link(page: SeenPage) -> str:
    """The link to the file."""
    (link,) = {link for link in page.links() if "/file?link=" in link}
    return link


def prompts(page: SeenPage) -> list[str]:
    """What the user said in a file of JSON lines."""
    return [json.loads(line)["messages"][0]["content"] for line in page.html.splitlines()]


def test_a_small_one_is_the_answer(alice: Visitor) -> None:
    page = ask(alice)
    assert (page.status, page.response.mimetype) == (200, "application/x-ndjson")
    assert prompts(page) == ["a lantern", "=1+1", "a lighthouse"]
    assert "No exports yet" in alice.get(LIST).text


def test_in_csv_nothing_is_calculated_and_all_is_restored(alice: Visitor) -> None:
    rows = list(read_csv(ask(alice, format="csv").response.get_data().decode()))
    assert [json.loads(row[13])[0]["content"] for row in rows[1:]] == ["a lantern", "=1+1", "a lighthouse"]


def test_the_filters_come_along_from_the_list(alice: Visitor) -> None:
    page = alice.get(f"{LIST}/new?q=lantern&model=m-1&conversation=c-1&from=2026-01-01&to=2026-01-01")
    assert [page.code(name) for name in ("q", "model", "conversation", "since", "until")] == [
        "lantern", "m-1", "c-1", "2026-01-01", "2026-01-01",
    ]  # fmt: skip
    assert prompts(alice.send(page)) == ["a lantern"]
    assert prompts(ask(alice, model="m-2")) == ["=1+1"]
    assert prompts(ask(alice, q="light*")) == ["a lighthouse"]


def test_a_list_that_is_narrowed_leads_to_an_export_of_just_that(alice: Visitor) -> None:
    assert f"{LIST}/new" not in " ".join(alice.get("/account/conversations").links())
    narrowed = alice.get("/account/conversations?model=m-2&from=2026-01-01")
    (link,) = [link for link in narrowed.links() if link.startswith(f"{LIST}/new")]
    assert link == f"{LIST}/new?model=m-2&from=2026-01-01"
    assert prompts(alice.send(alice.get(link))) == ["=1+1"]


def test_a_day_is_a_day_where_the_person_is(talk: Talk, browser: Browser) -> None:
    make_account("carol", time_zone="Europe/Berlin")
    talk("carol", "past midnight", timestamp="2026-01-01T23:30:00Z")
    carol = browser("carol")
    assert prompts(ask(carol, since="2026-01-02", until="2026-01-02")) == ["past midnight"]
    assert ask(carol, since="2026-01-01", until="2026-01-01").html == ""
    assert ask(carol, since="0001-01-01", until="9999-12-31").status == 200


def test_a_format_or_day_that_is_none_is_told_beside_it(alice: Visitor) -> None:
    assert ask(alice, format="xlsx").status == 422
    assert ask(alice, since="yesterday").status == 422
    assert alice.get(f"{LIST}/new?from=yesterday&to=9999-99-99").status == 200


@LARGE
def test_a_large_one_is_made_watched_fetched_and_deleted(alice: Visitor) -> None:
    page = ask(alice)
    assert page.path.startswith(f"{LIST}/")
    assert "Waiting" in page.text
    assert 'data-hx-trigger="every 2s"' in page.html
    work_off()
    page = alice.get(page.path)
    assert "Ready" in page.text
    assert "3 of 3 exchanges" in page.text
    assert "every 2s" not in page.html
    link = fetch_link(page)
    file = alice.get(link)
    assert prompts(file) == ["a lantern", "=1+1", "a lighthouse"]
    assert file.response.headers["Content-Length"] == str(len(file.response.get_data()))
    assert file.response.headers["Content-Disposition"].startswith("attachment")
    assert file.response.headers["Cache-Control"] == "no-store"
    assert page.path in alice.get(LIST).links()
    after = alice.send(page, to=f"{page.path}/delete")
    assert "No exports yet" in after.text
    assert (alice.get(link).status, alice.get(page.path).status) == (404, 404)


@LARGE
def test_the_link_is_for_one_person(alice: Visitor, browser: Browser) -> None:
    make_account("ada")
    page = ask(alice)
    work_off()
    link = fetch_link(alice.get(page.path))
    for other in ("bob", "ada"):
        assert browser(other).get(link).status == 404
        assert browser(other).get(page.path).status == 404
    stranger = browser("nobody").get(link, follow=False)
    assert stranger.status == 302
    assert "lantern" not in stranger.html
    assert alice.get(link.rpartition("=")[0] + "=wrong").status == 404
    assert alice.get(link.partition("?")[0]).status == 404


@LARGE
def test_a_large_one_is_stopped(alice: Visitor) -> None:
    page = ask(alice)
    after = alice.send(page, to=f"{page.path}/stop")
    assert "Nothing of it was kept" in after.text
    work_off()
    assert "Stopped" in alice.get(page.path).text
    assert [link for link in alice.get(page.path).links() if "/file" in link] == []


@LARGE
def test_two_at_once_are_enough(alice: Visitor) -> None:
    assert "Waiting" in ask(alice).text
    assert "Waiting" in ask(alice).text
    third = ask(alice)
    assert third.status in {409, 422}
    assert "Two exports of yours" in third.text
