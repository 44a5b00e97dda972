"""/admin/audit: who did what, filtered."""

from __future__ import annotations

from collections.abc import Callable

from tests.people import make_account
from tests.visitor import SeenPage, Visitor


def rows_of(page: SeenPage) -> list[str]:
    """The words of each entry on the page."""
    return [" ".join("".join(row.itertext()).split()) for table in page.tree.iter("tbody") for row in table.iter("tr")]


def test_what_an_admin_did_is_found_by_event_actor_target_and_request(person: Callable[..., Visitor]) -> None:
    bob, ada_account = make_account("bob"), make_account("abe", permissions=[])
    ada = person("ada")
    record = f"/admin/users/{bob.id}"
    done = ada.send(ada.get(record), {"suspend-reason": "canary reason"}, to=f"{record}/suspend", follow=False)
    request_id = done.response.headers["X-Request-Id"]
    for query in ("event=account.suspended", f"target={bob.id}&event=account.suspended", f"request={request_id}"):
        rows = rows_of(ada.get(f"/admin/audit?{query}"))
        assert len(rows) == 1, query
        assert "canary reason" in rows[0]
    assert rows_of(ada.get(f"/admin/audit?actor={ada_account.id}")) == []
    assert "No entry matches" in ada.get("/admin/audit?event=account.restored").text


def test_the_log_is_paged_newest_first(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    ada = person("ada")
    for _ in range(60):
        ada.client.get(f"/admin/users/{bob.id}")
    first = ada.get("/admin/audit?event=record.viewed")
    onward = next(link.get("href") or "" for link in first.tree.iter("a") if link.get("rel") == "next")
    assert (len(rows_of(first)), len(rows_of(ada.get(onward)))) == (50, 10)
