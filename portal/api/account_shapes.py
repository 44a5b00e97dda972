"""An account as the API tells it. Masked fields keep their name and carry a masked text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from portal.accounts.models import User
from portal.api.versions import with_version
from portal.usage.plans import plan_of
from portal.web.problems import shape_response

if TYPE_CHECKING:
    from flask import Response

    from portal.accounts.models import Account


class AccountShape(msgspec.Struct):
    """The fields of a user, a member of staff or an admin; `version` is the ETag too."""

    id: str
    kind: str
    username: str
    email: str | None
    email_verified: bool
    display_name: str
    state: str
    plan: str | None
    time_zone: str
    language: str
    created_at: str
    last_seen_at: str | None
    version: int


def account_response(account: Account, status: int = 200) -> Response:
    """An account as its owner sees it, with its version."""
    plan = plan_of(account).name if isinstance(account, User) else None
    shape = AccountShape(
        id=str(account.id),
        kind=account.kind,
        username=account.username,
        email=account.email,
        email_verified=account.email_verified_at is not None,
        display_name=account.display_name,
        state=account.state,
        plan=plan,
        time_zone=account.time_zone,
        language=account.language,
        created_at=account.created_at.isoformat(),
        last_seen_at=account.last_seen_at.isoformat(),
        version=account.version,
    )
    return with_version(shape_response(shape, status), account.version)
