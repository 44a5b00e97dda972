"""Where commits happen: in the frame, and for the statements that spend; nowhere else."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.structure.source import FLOORS, Module, portal_modules, string_of

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMITS = {
    "portal.core.database": {"db.session.commit"},  # transaction()
    "portal.web.frame": {"db.session.commit"},  # after the view
    "portal.core.hot": {"raw.commit"},  # the hot statements, many committed as one
}
# Who opens a frame with transaction(), below what starts programs: outside a request, or beside its own change.
# No verb stands here.
FRAMES = {
    "portal.web.frame": "the trace that outlives a rollback",
    "portal.signin.steps": "the count of an answer, before it is looked at",
    "portal.signin.throttle": "the count of a try, before anything slow is done with it",
    "portal.jobs.runner": "a job and its lock",
    "portal.jobs.table": "a job",
    "portal.messages.flush": "one chunk and its position",
    "portal.messages.purging": "one batch of what is kept no longer",
    "portal.messages.purged_quarantine": "one batch of lines set aside",
    "portal.insight.audit_check": "the entry of a check that was asked for in the console",
    "portal.audit.sealing": "one batch of entries that get their place in the chain",
    "portal.audit.roots": "the root of one day",
    "portal.audit.archive": "one stretch of old entries that lie in a file",
    "portal.audit.blanking": "one batch of entries of a purged user",
    "portal.messages.sealing_job": "one batch of what lies open",
    "portal.core.own_data": "one batch of what is handed over to its owner",
    "portal.messages.own_data": "where the list of exchanges ends",
    "portal.privacy.own_data_files": "the picture of an archive",
    "portal.privacy.closing": "the deletion of one account whose owner left",
    "portal.privacy.purging": "one step of a purge, which is gone on with when it dies",
    "portal.messages.export_rows": "one batch of an export, sent or written before the next is read",
    "portal.messages.export_files": "the offer of a file, and the end of many",
    "portal.work.long_work": "one step of a long work",
    "portal.mail.outbox": "one mail of the sender's round",
    "portal.usage.reset": "one batch of days",
    "portal.usage.refusal_reading": "one batch of old refusals",
    "portal.usage.warnings": "the marks of one day and their mail",
    "portal.usage.months": "one batch of balances",
    "portal.usage.plan_changes": "one plan that has begun",
    "portal.keys.expiry": "one batch of notices",
}


def stray_commits(modules: Iterable[Module]) -> list[str]:
    """Each commit, called or spelt in SQL, outside its three places."""
    faults = []
    for module in modules:
        for node in ast.walk(module.tree):
            spelt = (string_of(node) or "").strip().rstrip(";").upper()
            if spelt in {"COMMIT", "END TRANSACTION", "RELEASE"}:
                faults.append(f"{module.name}: {spelt}")
            if isinstance(node, ast.Attribute) and node.attr in {"commit", "autocommit"}:
                written = ast.unparse(node)
                if written not in COMMITS.get(module.name, set()):
                    faults.append(f"{module.name}:{node.lineno} {written}")
    return faults


def stray_frames(modules: Iterable[Module]) -> list[str]:
    """Each module that opens a transaction of its own and is not known for it; each that is and does not."""
    opening = {
        module.name
        for module in modules
        if FLOORS.get(module.folder, 0) <= FLOORS["pages"]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func) == "portal.core.database.transaction"
    }
    return sorted(opening ^ FRAMES.keys())


def test_commits_happen_in_three_places() -> None:
    assert stray_commits(portal_modules()) == []
    missing = [name for name, calls in COMMITS.items() for call in calls if call not in text_of(name)]
    assert missing == [], "a place is in the table and commits no more"


def text_of(name: str) -> str:
    """The text of a module of ours."""
    return next(module.text for module in portal_modules() if module.name == name)


def test_a_stray_commit_is_reported_however_it_is_made() -> None:
    for way in ("db.session.commit()", "connection.commit()", 'session.execute(text("COMMIT"))', "done = raw.commit"):
        assert len(stray_commits([Module("portal.keys.service", way)])) == 1, way
    assert len(stray_commits([Module("portal.usage.spending", "db.session.commit()")])) == 1


def test_frames_are_opened_by_whom_we_know() -> None:
    assert stray_frames(portal_modules()) == []


def test_a_verb_that_opens_its_own_frame_is_reported() -> None:
    text = "from portal.core.database import transaction\ndef f(actor):\n    with transaction():\n        pass\n"
    assert "portal.keys.service" in stray_frames([*portal_modules(), Module("portal.keys.service", text)])
