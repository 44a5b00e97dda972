"""/admin/audit: who did what, filtered; one entry; the chain; the log as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.audit import events, exporting
from portal.audit.models import AuditEntry
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from tests.people import actor_named, make_account, open_case_for
from tests.visitor import SeenPage, Visitor


def rows_of(page: SeenPage) -> list[str]:
    """The words of each entry on the page."""
    return [" ".join("".join(row.itertext()).split()) for table in page.tree.iter("tbody") for row in table.iter("tr")]


def test_what_an_admin_did_is_found_by_event_actor_target_and_request(person: Callable[..., Visitor]) -> None:
    bob, abe = make_account("bob"), make_account("abe", permissions=[])
    make_account("theo")
    ada = person("ada")
    record_url = f"/admin/users/{bob.id}"
    done = ada.send(ada.get(record_url), {"suspend-reason": "canary reason"}, to=f"{record_url}/suspend", follow=False)
    request_id = done.response.headers["X-Request-Id"]
    case = open_case_for("theo", bob)
    suspended = "event=account.suspended"
    for query in (suspended, f"target={bob.id}&{suspended}", f"target=BOB&{suspended}", f"request={request_id}"):
        rows = rows_of(ada.get(f"/admin/audit?{query}"))
        assert len(rows) == 1, query
        assert "canary reason" in rows[0]
    for query, count in (
        (f"q={request_id}", 1),
        (f"q={request_id}&result=done", 1),
        (f"q={request_id}&result=refused", 0),
        (f"q=bob&{suspended}", 1),
        (f"q={bob.id}&{suspended}", 1),
        (f"q=ada&{suspended}", 1),
        (f"q=abe&{suspended}", 0),
        (f"q={case}", 1),
        (f"q={case.lower()}", 1),
        (f"q=127.0.0.1&{suspended}", 1),
        (f"q=127.0.0.2&{suspended}", 0),
        (f"from={clock.now():%Y-%m-%d}&to={clock.now():%Y-%m-%d}&{suspended}", 1),
        (f"to={clock.now() - timedelta(days=2):%Y-%m-%d}", 0),
        (f"from=9999-12-31&{suspended}", 1),
        ("actor=nobody-of-this-name", 0),
        ("q=%00%1b", None),
        ("q=" + "x" * 3000, 0),
    ):
        page = ada.get(f"/admin/audit?{query}")
        assert page.status == 200, query
        assert count in (None, len(rows_of(page))), query
    assert rows_of(ada.get(f"/admin/audit?actor={abe.id}")) == []
    assert "No entry matches" in ada.get("/admin/audit?event=account.restored").text


def test_one_entry_tells_all_of_itself_and_its_place(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    ada = person("ada")
    who = actor_named("ada").because("They asked <b>twice</b>.")
    with transaction():
        record(
            who,
            events.PLAN_CHANGED,
            Target("user", bob.id, "bob"),
            {"from": "free", "to": "plus", "starts_at": clock.now().isoformat()},
        )
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.plan_changed")).one()
    page = ada.get(f"/admin/audit/{entry.id}")
    for words in ("changed the plan", "They asked <b>twice</b>.", "free", "plus", "203.0.113.9", "waits for its seal"):
        assert words in page.text, words
    links = {link.get("href") for link in page.tree.iter("a")}
    assert {f"/admin/users/{bob.id}", f"/admin/admins/{who.id}", "/admin/audit?q=203.0.113.9"} <= links
    run_job("seal_audit", by_hand=True)
    db.session.expire_all()
    page = ada.get(f"/admin/audit/{entry.id}")
    assert entry.digest is not None
    assert entry.digest.hex() in page.text
    assert ada.get(f"/admin/audit/{bob.id}").status == 404


def test_the_log_is_paged_newest_first(person: Callable[..., Visitor]) -> None:
    bob = make_account("bob")
    ada = person("ada")
    with transaction():
        for _ in range(60):
            record(actor_named("ada"), events.RECORD_VIEWED, Target("user", bob.id, "bob"))
    first = ada.get("/admin/audit?event=record.viewed")
    onward = next(link.get("href") or "" for link in first.tree.iter("a") if link.get("rel") == "next")
    assert (len(rows_of(first)), len(rows_of(ada.get(onward)))) == (50, 10)


def test_it_is_taken_away_as_csv_and_json_lines(
    person: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = person("ada")
    with transaction():
        for number in range(7):
            because = actor_named("ada").because("=1+1" if number == 6 else f"row {number}\nü")
            record(because, events.CLIENT_DISABLED, Target("client", None, "gate"), {"name": "gate"})
    monkeypatch.setattr(exporting, "BATCH", 3)
    page = ada.get("/admin/audit?event=client.disabled")
    to = "/admin/audit/export"
    sheet = ada.send(page, {"format": "csv"}, to=to)
    assert sheet.response.headers["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(sheet.response.text, newline="")))
    assert len(rows) == 7
    assert (rows[0]["reason"], rows[1]["reason"], rows[0]["facts"]) == ("'=1+1", "row 5\nü", '{"name":"gate"}')
    lines = [json.loads(line) for line in ada.send(page, {"format": "jsonl"}, to=to).response.text.splitlines()]
    assert [line["reason"] for line in lines] == [restored(row["reason"]) for row in rows]
    assert sorted(line["seq"] for line in lines) == sorted(int(row["seq"]) for row in rows)
    taken = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "audit.exported").order_by(AuditEntry.at))
    assert [entry.facts for entry in taken] == [{"format": "csv", "count": 7}, {"format": "jsonl", "count": 7}]
    monkeypatch.setattr(exporting, "MOST", 6)
    assert "These are more than 6 entries." in ada.send(page, {"format": "csv"}, to=to).text
    assert "Choose one of these." in ada.send(page, {"format": "exe"}, to=to).text


def restored(cell: str) -> str:
    """A cell as it was."""
    return cell.removeprefix("'")


def test_the_chain_is_checked_from_its_page(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    run_job("seal_audit", by_hand=True)
    page = ada.get("/admin/audit/chain")
    assert "has not been checked yet" in page.text
    for _ in range(2):
        assert "A check begins." in ada.send(page, to="/admin/audit/check").text
    run_job("do_long_works", by_hand=True)
    page = ada.get("/admin/audit/chain")
    assert "Whole" in page.text
    assert "whole: " in page.text
    assert "by ada" in page.text
    root = json.loads((ada.client.application.extensions["settings"].data_dir / "audit-roots.jsonl").read_text())
    assert root["digest"] in page.text
    assert root["key"] in page.text
    with transaction():
        db.session.scalars(select(AuditEntry).where(AuditEntry.seq == 1)).one().result = "refused"
    ada.send(page, to="/admin/audit/check")
    run_job("do_long_works", by_hand=True)
    assert "broken at entry 1: changed" in ada.get("/admin/audit/chain").text
    assert "Broken" in ada.get("/admin/audit").text
