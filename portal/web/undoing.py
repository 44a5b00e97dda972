"""The page on which something done to an account is undone: what will be, why, and the button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.core.access import check_recent
from portal.core.errors import Conflict
from portal.support.undo import CREDITS, look_at_undoing, undo
from portal.web.acting import acting_for
from portal.web.acts import ReasonForm
from portal.web.forms import told_as_news, told_beside
from portal.web.identity import actor

if TYPE_CHECKING:
    from uuid import UUID

    from portal.support.undo import Undoing


@dataclass(slots=True)
class AskedToUndo:
    """The page of an undoing; `hindrance` says why it cannot be, and `user_id` whose account it is about."""

    form: ReasonForm
    undoing: Undoing | None = None
    hindrance: str = ""
    done: bool = False

    @property
    def status(self) -> int:
        """The status of the answer."""
        return 422 if self.form.is_submitted() else 200


def walk_undoing(entry_id: UUID) -> AskedToUndo:
    """Look, ask, undo. Raises NotFound, Forbidden, CaseNeeded, ReauthNeeded."""
    asked = AskedToUndo(ReasonForm())
    with told_as_news(Conflict) as looked:
        found = asked.undoing = look_at_undoing(actor(), entry_id)
        who = acting_for(found.account.id)
        if found.entry.event in CREDITS:
            check_recent(who, factor=True)
        if not asked.form.is_submitted():
            asked.form.reason.data = who.reason
    asked.hindrance = looked.words
    if looked.done and asked.form.validate_on_submit():
        with told_beside(asked.form) as attempt:
            undo(acting_for(found.account.id, asked.form.reason.data), entry_id)
        asked.done = attempt.done
    return asked
