"""What accounts hold of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.models import OneTimeLink, Picture, User
from portal.core.own_data import part_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part

# The names once more, in the form in which they are compared and searched; the hash of the password; what only
# orders changes.
STEERING = ("username_canonical", "email_canonical", "search_text", "password_hash", "epoch", "version", "account_id")


def export_of(account_id: UUID) -> list[Part]:
    """The account, its links by mail, and that there is a picture, which lies beside as a file."""
    return [
        part_of("account", User, User.id == account_id, hide=STEERING),
        part_of("mailed_links", OneTimeLink, OneTimeLink.account_id == account_id, hide=("digest", "epoch")),
        part_of("picture", Picture, Picture.account_id == account_id, hide=("content",)),
    ]
