"""Telling the owner by mail of every change that opens or shuts an account, at the address of before the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.mail.outbox import write_mail

if TYPE_CHECKING:
    from portal.accounts.models import Account


def notify(account: Account, what: str, *, to: str | None = None) -> None:
    """Mail the owner in the transaction of the change; `what` is one sentence. `to` is the address of before, where
    the change was of the address itself."""
    values = {"name": account.shown_name, "what": what}
    write_mail(to or account.email or "", "notice", values, language=account.language, account_id=account.id)
