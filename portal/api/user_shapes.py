"""Users as admins, staff and service clients take and tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from portal.api.account_shapes import AccountShape
from portal.api.list_shapes import PageQuery, PageShape

if TYPE_CHECKING:
    from portal.support.record import UserSeen

Units = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": 1_000_000})]
ListedState = Literal["invited", "active", "suspended", "closing"]
Sort = Literal["-created", "created", "username", "-username", "-seen"]


class UserQuery(PageQuery):
    """Which users, in which order. Whoever sees addresses masked gives `q` and nothing else."""

    q: Annotated[str, msgspec.Meta(description="A part of a name or an e-mail address, or a whole id.")] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    state: ListedState | msgspec.UnsetType = msgspec.UNSET
    plan: Annotated[str, msgspec.Meta(description="Name or id of a plan.")] | msgspec.UnsetType = msgspec.UNSET
    sort: Sort = "-created"


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to invite. With `deliver` "return" no mail is sent: the answer has the link, once."""

    username: str
    email: str
    display_name: str = ""
    time_zone: str = ""
    language: str = ""
    plan: Annotated[str, msgspec.Meta(description="The name of a plan; left out, DEFAULT_PLAN.")] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    deliver: Literal["mail", "return"] = "mail"


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """What of a user shall change; what is left out stays. An own daily limit of null means that the plan decides.

    `plan_starts` says from when another plan holds: now, from the user's next usage day, or from their next month on.
    """

    display_name: str | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType = msgspec.UNSET
    time_zone: str | msgspec.UnsetType = msgspec.UNSET
    daily_limit_override: Units | msgspec.UnsetType | None = msgspec.UNSET
    plan: str | msgspec.UnsetType = msgspec.UNSET
    plan_starts: Literal["now", "next_day", "next_month"] = "now"


class UserShape(AccountShape):
    """A user. `daily_limit_override` is the user's own limit; null where the plan's holds."""

    daily_limit_override: int | None


class InvitedShape(UserShape):
    """A user who was invited. `activation_url` is told once, where no mail brings it."""

    activation_url: str | None


class UserPage(PageShape):
    """Users, in the wanted order."""

    items: list[UserShape]


def user_shape(user: UserSeen) -> UserShape:
    """A user as the actor may see them."""
    return UserShape(**_fields(user))


def invited_shape(user: UserSeen, link: str | None) -> InvitedShape:
    """The same of one who was just invited."""
    return InvitedShape(**_fields(user), activation_url=link)


def _fields(user: UserSeen) -> dict[str, Any]:
    told = {name: getattr(user, name) for name in UserShape.__struct_fields__}
    times = {name: told[name].isoformat() for name in ("created_at", "last_seen_at")}
    return {**told, **times, "id": str(user.id)}
