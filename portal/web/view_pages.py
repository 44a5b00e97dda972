"""What a user sees, shown to somebody else: the same pages for the desk and the console, read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core.access import Capability
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.insight.activity import activity_shown
from portal.insight.user_usage import refusal_list, refusal_story, user_usage
from portal.support.viewed import keys_shown, profile_shown, prompts_shown, sessions_shown, talks_shown
from portal.support.viewing import LASTS, ViewingOver, begin_viewing, end_viewing, in_viewing, viewed_user
from portal.usage.credits import list_ledger
from portal.usage.history import day_held_until, last_days, standing
from portal.usage.limits import limits_of
from portal.web.acting import acting_for
from portal.web.forms import told_beside
from portal.web.identity import actor
from portal.web.lists import span_of, typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor

Shown = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Door:
    """From where the pages are looked at: what the other pages of this door are called."""

    name: str
    desk: str
    days: str
    months: str
    logs: str
    logs_user: str

    def address(self, user_id: UUID, page: str = "", **args: Any) -> str:
        """The address of a page of the user within this door."""
        if not page:
            return url_for(f"{self.name}.view.index", user_id=user_id, **args)
        return url_for(f"{self.name}.view.show", user_id=user_id, page=page, **args)


class BeginForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why these pages have to be seen."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


def _cursor() -> str | None:
    return typed("cursor", most=500) or None


class Look(NamedTuple):
    """A look at the pages of a user: by which door, at whom, by whom, and what every page is given."""

    who: Actor
    user_id: UUID
    frame: Shown


def _home(look: Look) -> str:
    who, user_id, frame = look
    return render_template(
        "staff/view/home.html",
        **frame,
        standing=standing(who, user_id),
        limits=limits_of(who, user_id),
        held_until=day_held_until(who, user_id),
        days=last_days(who, user_id),
        keys=[key for key in keys_shown(who, user_id) if key.state in {"active", "replaced"}],
        talks=talks_shown(who, user_id).items[:5],
    )


def _keys(look: Look) -> str:
    ended = typed("show") == "ended"
    keys = [key for key in keys_shown(look.who, look.user_id) if (key.state in {"revoked", "expired"}) == ended]
    return render_template("staff/view/keys.html", **look.frame, keys=keys, ended=ended)


def _usage(look: Look) -> str:
    usage = user_usage(look.who, look.user_id, span=span_of())
    return render_template("staff/view/usage.html", **look.frame, usage=usage)


def _refusals(look: Look) -> str:
    listed = refusal_list(look.who, look.user_id, _cursor())
    return render_template("staff/view/refusals.html", **look.frame, listed=listed)


def _ledger(look: Look) -> str:
    listed = list_ledger(look.who, look.user_id, _cursor())
    return render_template("staff/view/ledger.html", **look.frame, listed=listed)


def _conversations(look: Look) -> str:
    listed = talks_shown(look.who, look.user_id, _cursor())
    return render_template("staff/view/conversations.html", **look.frame, listed=listed)


def _prompts(look: Look) -> str:
    listed = prompts_shown(look.who, look.user_id, _cursor())
    reads = look.who.may(Capability.LOG_CONTENT)
    return render_template("staff/view/prompts.html", **look.frame, listed=listed, reads=reads)


def _sessions(look: Look) -> str:
    sessions = sessions_shown(look.who, look.user_id)
    return render_template("staff/view/sessions.html", **look.frame, sessions=sessions)


def _activity(look: Look) -> str:
    looks = typed("show") == "looks"
    listed = activity_shown(look.who, look.user_id, _cursor(), looks=looks)
    return render_template("staff/view/activity.html", **look.frame, listed=listed, looks=looks)


def _profile(look: Look) -> str:
    return render_template("staff/view/profile.html", **look.frame, about=profile_shown(look.who, look.user_id))


def _security(look: Look) -> str:
    return render_template("staff/view/security.html", **look.frame, about=profile_shown(look.who, look.user_id))


# Each page by the last part of its address. The order is that of the tabs.
PAGES: dict[str, Callable[[Look], str]] = {
    "home": _home,
    "usage": _usage,
    "keys": _keys,
    "conversations": _conversations,
    "prompts": _prompts,
    "profile": _profile,
    "security": _security,
    "sessions": _sessions,
    "activity": _activity,
    "refusals": _refusals,
    "ledger": _ledger,
}
# What these read leaves an entry of the look itself.
NOTED = {"usage", "refusals", "refusal"}


def show_page(door: Door, user_id: UUID, page: str) -> ResponseReturnValue:
    """One of the user's pages. Raises NotFound, CaseNeeded."""
    if page not in PAGES:
        raise NotFound
    return _shown(door, user_id, page, PAGES[page])


def show_refusal(door: Door, user_id: UUID, decision_id: UUID) -> ResponseReturnValue:
    """Why a call of the user was refused. Raises NotFound, CaseNeeded."""

    def tell(look: Look) -> str:
        story = refusal_story(look.who, look.user_id, decision_id)
        return render_template("staff/view/refusal.html", **look.frame, story=story)

    return _shown(door, user_id, "refusal", tell)


def _shown(door: Door, user_id: UUID, page: str, draw: Callable[[Look], str]) -> ResponseReturnValue:
    who = acting_for(user_id)
    try:
        viewing, grounded = in_viewing(who, user_id, noted=page in NOTED)
    except ViewingOver as over:
        user = viewed_user(who, user_id)
        return render_template("staff/view/over.html", door=door, user=user, words=over.words), 403
    frame = {"door": door, "user": viewed_user(grounded, user_id), "viewing": viewing, "tab": page}
    return draw(Look(grounded, user_id, frame))


def begin_page(door: Door, user_id: UUID) -> ResponseReturnValue:
    """Say why, and open the pages. Raises NotFound, CaseNeeded."""
    who = acting_for(user_id)
    user = viewed_user(who, user_id)
    form = BeginForm(reason=who.reason or "")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            begin_viewing(acting_for(user_id, form.reason.data), user_id)
        if attempt.done:
            return redirect(door.address(user_id))
    page = render_template("staff/view/begin.html", door=door, user=user, form=form, minutes=LASTS.seconds // 60)
    return page, 422 if form.is_submitted() else 200


def end_and_leave(door: Door, user_id: UUID) -> ResponseReturnValue:
    """Close the pages again, and go back to the record. Raises NotFound."""
    end_viewing(actor(), user_id)
    flash(gettext("You no longer see the pages of this user."), "green")
    return redirect(url_for(f"{door.name}.users.show", user_id=user_id))


DESK = Door(
    "staff",
    desk="staff.desk.index",
    days="staff.users.days",
    months="staff.users.months",
    logs="staff.users.logs",
    logs_user="user_id",
)
CONSOLE = Door(
    "admin",
    desk="admin.users.index",
    days="admin.users.days",
    months="admin.usage.months",
    logs="admin.logs.index",
    logs_user="user",
)
