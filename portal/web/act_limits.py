"""Acts on what a user may spend: today's limit, credits, plan, boost. What each asks, says and does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired

from portal.accounts.days import zone
from portal.core import clock
from portal.core.errors import Conflict, Invalid
from portal.core.text import gettext, ngettext
from portal.core.text import lazy_gettext as words
from portal.usage.boosts import boost_limit, boost_of, check_boost, end_boost
from portal.usage.credits import adjust_credits, most_adjusted
from portal.usage.history import standing
from portal.usage.limits import limits_of
from portal.usage.plan_changes import change_plan, coming_change, starts_of, take_back_plan
from portal.usage.plans import list_plans, plan_of
from portal.usage.today_reset import reset_today, today_of_user
from portal.web.act_access import undo_words
from portal.web.acts import REASON, Act, Done
from portal.web.faces import grouped, minute
from portal.web.forms import WholeNumberField
from portal.web.identity import viewer

if TYPE_CHECKING:
    from portal.accounts.models import User
    from portal.core.actor import Actor


def _preview_reset_today(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    found = today_of_user(who, user.id)
    lines = [
        gettext(
            "Of today's %(limit)s conversations %(used)s are used. %(back)s are given back, so that %(left)s are left.",
            limit=grouped(found.limit),
            used=grouped(found.used),
            back=grouped(found.given_back),
            left=grouped(max(0, found.limit - found.used + found.given_back)),
        )
    ]
    if found.held:
        lines.append(
            ngettext(
                "%(num)s more is held in advance by a service and comes back by itself when it is not used.",
                "%(num)s more are held in advance by a service and come back by themselves when they are not used.",
                found.held,
            )
        )
    return [
        *lines,
        gettext("The history, the credits and the own limits of keys stay as they are."),
        gettext("After this, today can be reset once more.")
        if found.resets_left > 1
        else gettext("After this, today cannot be reset again: twice is the most."),
    ]


def _reset_today(who: Actor, user: User, _form: FlaskForm) -> Done:
    before = reset_today(who, user.id)
    return Done(
        ngettext("%(num)s conversation is given back.", "%(num)s conversations are given back.", before.given_back)
    )


class CreditsForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Credits to add, or to take with a minus."""

    amount = WholeNumberField(words("Credits to add, or to take with a minus"), [InputRequired(words("How many?"))])
    reason = StringField(words("Reason"), REASON)


def _credits_now(who: Actor, user: User) -> str:
    now, most = grouped(standing(who, user.id).credits), grouped(most_adjusted(who))
    return gettext("%(now)s credits there are now. You can add or take %(most)s at most.", now=now, most=most)


def _preview_credits(who: Actor, user: User, form: FlaskForm) -> list[str]:
    amount, most = form.amount.data, most_adjusted(who)
    if amount == 0 or not -most <= amount <= most:
        told = gettext("A whole number from -%(most)s to %(most)s, not 0.", most=grouped(most))
        raise Invalid({"amount": told})
    now = standing(who, user.id).credits
    if now + amount < 0:
        raise Conflict(gettext("There are only %(left)s credits to take from.", left=grouped(now)))
    line = gettext("The credits go from %(now)s to %(then)s.", now=grouped(now), then=grouped(now + amount))
    if amount > 0:
        return [line, gettext("What is added are own credits, which do not expire.")]
    return [line, gettext("This month's plan credits are taken first.")]


def _credits(who: Actor, user: User, form: FlaskForm) -> Done:
    balance = adjust_credits(who, user.id, form.amount.data)
    return Done(f"{gettext('The credits are adjusted: %(now)s there are now.', now=grouped(balance))} {undo_words()}")


class PlanForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Another plan, and from when on."""

    plan = SelectField(words("Plan"))
    starts = SelectField(words("Holds from"))
    reason = StringField(words("Reason"), REASON)


def start_choices(user: User) -> list[SelectChoice]:
    """From when another plan may hold, told in the viewer's zone."""
    day, month = starts_of(user, "next_day"), starts_of(user, "next_month")
    return [
        SelectChoice("now", gettext("the next call")),
        SelectChoice("next_day", gettext("the user's next day, %(when)s", when=minute(day))),
        SelectChoice("next_month", gettext("the user's next month, %(when)s", when=minute(month))),
    ]


def _prepare_plan(who: Actor, user: User, form: FlaskForm) -> None:
    form.plan.choices = [SelectChoice(str(plan.id), plan.name) for plan in list_plans(who)]
    form.starts.choices = start_choices(user)
    if not form.is_submitted():
        form.plan.data = str(plan_of(user).id)


def _preview_plan(who: Actor, user: User, form: FlaskForm) -> list[str]:
    now = plan_of(user)
    wanted = next(plan for plan in list_plans(who) if str(plan.id) == form.plan.data)
    if wanted.id == now.id:
        raise Conflict(gettext("The user has this plan."))
    unlimited = gettext("no limit")
    limits = [unlimited if plan.daily_limit is None else grouped(plan.daily_limit) for plan in (now, wanted)]
    starts = starts_of(user, form.starts.data)
    lines = [
        gettext("%(plan)s holds from the next call on.", plan=wanted.name)
        if form.starts.data == "now"
        else gettext("%(plan)s holds from %(when)s on.", plan=wanted.name, when=minute(starts)),
        gettext("Conversations a day: %(now)s, then %(then)s.", now=limits[0], then=limits[1]),
        gettext(
            "Plan credits a month: %(now)s, then %(then)s. What this month was given stays.",
            now=grouped(now.credits_per_month),
            then=grouped(wanted.credits_per_month),
        ),
    ]
    if user.daily_limit_override is not None:
        own = grouped(user.daily_limit_override)
        lines.append(gettext("The user's own limit of %(own)s a day goes on to hold.", own=own))
    if (coming := coming_change(user)) is not None:
        lines.append(gettext("It takes the place of the change to %(plan)s that is to come.", plan=coming.plan.name))
    return lines


def _plan(who: Actor, user: User, form: FlaskForm) -> Done:
    change = change_plan(who, user.id, UUID(form.plan.data), starts=form.starts.data)
    told = gettext("The plan is changed: %(plan)s holds from the next call on.", plan=change.plan.name)
    if change.starts_at > clock.now():
        when = minute(change.starts_at)
        told = gettext(
            "The plan is going to change: %(plan)s holds from %(when)s on.", plan=change.plan.name, when=when
        )
    return Done(f"{told} {undo_words()}")


def _preview_take_back(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    coming = limits_of(who, user.id).coming
    if coming is None:
        raise Conflict(gettext("No other plan is to come for this user."))
    facts = {"plan": plan_of(user).name, "other": coming.plan.name, "when": minute(coming.starts_at)}
    return [gettext("The plan stays %(plan)s; %(other)s does not begin on %(when)s.", **facts)]


def _take_back(who: Actor, user: User, _form: FlaskForm) -> Done:
    take_back_plan(who, user.id)
    return Done(gettext("The plan stays as it is; the change to come is taken back."))


class BoostForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A higher daily limit for a while."""

    extra = WholeNumberField(words("More conversations a day"), [InputRequired(words("How many?"))])
    until = DateTimeLocalField(
        words("Until"),
        [InputRequired(words("A time to come, at most 90 days ahead."))],
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        invalid_value_message=words("A time to come, at most 90 days ahead."),
    )
    reason = StringField(words("Reason"), REASON)


def _viewer_zone() -> str:
    person = viewer()
    return person.time_zone if person else "UTC"


def _until(form: FlaskForm) -> datetime:
    until: datetime = form.until.data.replace(tzinfo=zone(_viewer_zone()))
    return until


def _prepare_boost(_who: Actor, _user: User, form: FlaskForm) -> None:
    if not form.is_submitted():
        day = (clock.now() + timedelta(days=1)).astimezone(zone(_viewer_zone()))
        form.until.data = day.replace(second=0, microsecond=0, tzinfo=None)


def _preview_boost(who: Actor, user: User, form: FlaskForm) -> list[str]:
    limits, extra = limits_of(who, user.id), form.extra.data
    if limits.daily_limit is None:
        raise Conflict(gettext("This user has no daily limit that could be raised."))
    check_boost(extra, _until(form))
    before = limits.daily_limit - (limits.boost.extra if limits.boost else 0)
    facts = {"now": grouped(before), "then": grouped(before + extra), "when": minute(_until(form))}
    lines = [gettext("The daily limit is %(then)s instead of %(now)s until %(when)s.", **facts)]
    if limits.boost:
        lines.append(gettext("It takes the place of the boost there is."))
    return lines


def _boost(who: Actor, user: User, form: FlaskForm) -> Done:
    made = boost_limit(who, user.id, form.extra.data, _until(form))
    return Done(gettext("The daily limit is raised until %(when)s.", when=minute(made.until)))


def _preview_end_boost(who: Actor, user: User, _form: FlaskForm) -> list[str]:
    boost, limit = boost_of(user), limits_of(who, user.id).daily_limit
    if boost is None or limit is None:
        raise Conflict(gettext("There is no boost to end."))
    facts = {"then": grouped(limit - boost.extra), "now": grouped(limit), "when": minute(boost.until)}
    return [gettext("The daily limit is %(then)s from the next call on; it was to be %(now)s until %(when)s.", **facts)]


def _end_boost(who: Actor, user: User, _form: FlaskForm) -> Done:
    end_boost(who, user.id)
    return Done(gettext("The boost is over; the daily limit is as before."))


RESET_TODAY = Act(
    words("Reset today's usage"), words("Give today's limit back"), "refresh", _preview_reset_today, _reset_today
)
CREDITS = Act(
    words("Adjust credits"),
    words("Adjust the credits"),
    "coins",
    _preview_credits,
    _credits,
    CreditsForm,
    stands=_credits_now,
    chosen=("amount",),
    recent=True,
)
PLAN = Act(
    words("Change the plan"),
    words("Change the plan"),
    "stack-2",
    _preview_plan,
    _plan,
    PlanForm,
    _prepare_plan,
    chosen=("plan", "starts"),
)
TAKE_BACK = Act(words("Keep the plan"), words("Take the change back"), "history", _preview_take_back, _take_back)
BOOST = Act(
    words("Boost the daily limit"),
    words("Boost the daily limit"),
    "bolt",
    _preview_boost,
    _boost,
    BoostForm,
    _prepare_boost,
    chosen=("extra", "until"),
)
END_BOOST = Act(words("End the boost"), words("End the boost"), "history", _preview_end_boost, _end_boost)
