"""Every table that holds something of a user, and what the purge of a deleted user does with it.

A table that is not here fails the test of the schema (tests/structure/test_children.py): whoever adds one says what
becomes of its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from portal.accounts.models import OneTimeLink, Picture, ReservedName
from portal.keys.models import ApiKey, KeyUse
from portal.mail.models import OutboxMail
from portal.outside.models import ExternalIdentity
from portal.prompts.models import Prompt
from portal.repeats.models import KeptAnswer
from portal.signin.models import Authenticator, KnownDevice, Passkey, RecoveryCode, SignInSession, SignInStep
from portal.support.models import CaseMessage, Mention, Note, Reveal, SupportCase, Viewing
from portal.tokens.models import RefreshToken, TokenFamily
from portal.usage.models import Lease, Refusal, UsageDetail, UsageWarning
from portal.work.models import LongWork

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy import ColumnElement

# Rows that go, in this order: what points at others first. Each with how a user's are told.
DROPPED: dict[Any, Callable[[UUID], ColumnElement[bool]]] = {
    SignInSession: lambda user_id: SignInSession.account_id == user_id,
    RefreshToken: lambda user_id: RefreshToken.family_id.in_(
        select(TokenFamily.id).where(TokenFamily.account_id == user_id)
    ),
    TokenFamily: lambda user_id: TokenFamily.account_id == user_id,
    SignInStep: lambda user_id: SignInStep.account_id == user_id,
    KnownDevice: lambda user_id: KnownDevice.account_id == user_id,
    Authenticator: lambda user_id: Authenticator.account_id == user_id,
    Passkey: lambda user_id: Passkey.account_id == user_id,
    RecoveryCode: lambda user_id: RecoveryCode.account_id == user_id,
    ExternalIdentity: lambda user_id: ExternalIdentity.account_id == user_id,
    Picture: lambda user_id: Picture.account_id == user_id,
    OneTimeLink: lambda user_id: OneTimeLink.account_id == user_id,
    OutboxMail: lambda user_id: OutboxMail.account_id == user_id,
    CaseMessage: lambda user_id: CaseMessage.case_id.in_(select(SupportCase.id).where(SupportCase.user_id == user_id)),
    SupportCase: lambda user_id: SupportCase.user_id == user_id,
    Mention: lambda user_id: Mention.note_id.in_(select(Note.id).where(Note.user_id == user_id)),
    Note: lambda user_id: Note.user_id == user_id,
    Reveal: lambda user_id: Reveal.user_id == user_id,
    Viewing: lambda user_id: Viewing.user_id == user_id,
    Prompt: lambda user_id: Prompt.user_id == user_id,
    KeyUse: lambda user_id: KeyUse.key_id.in_(select(ApiKey.id).where(ApiKey.user_id == user_id)),
    ApiKey: lambda user_id: ApiKey.user_id == user_id,
    KeptAnswer: lambda user_id: KeptAnswer.caller_id == user_id,
    LongWork: lambda user_id: LongWork.owner_id == user_id,
    Refusal: lambda user_id: Refusal.user_id == user_id,
    Lease: lambda user_id: Lease.user_id == user_id,
    UsageDetail: lambda user_id: UsageDetail.user_id == user_id,
    UsageWarning: lambda user_id: UsageWarning.user_id == user_id,
    ReservedName: lambda user_id: ReservedName.account_id == user_id,
}

# Rows that go too, by what is said here.
TAKEN_ELSEWHERE = {
    "message_logs": "messages.purging.purge_logs_of",
    "message_contents": "messages.purging.purge_logs_of",
    "sealed_contents": "messages.purging.purge_logs_of",
    "conversations": "messages.purging.purge_logs_of",
    "quarantined_records": "messages.purging.purge_logs_of",
    "content_openings": "messages.purging.purge_logs_of",
    "deleted_users": "privacy.purging: emptied first, dropped last, so that a purge that died is gone on with",
}

# Rows that stay, and why.
KEPT = {
    "accounts": "without a name, so that what stays has somebody to belong to",
    "users": "the other half of that row, set to keep nothing that may still come",
    "admins": "of admins, who are not deleted as users are",
    "support_staff": "of staff, who are not deleted as users are",
    "data_keys": "emptied: that there was a key and is none keeps anybody from making another",
    "usage_days": "numbers that the totals of all are added up from",
    "usage_months": "numbers that the totals of all are added up from",
    "credit_balances": "a number that the ledger has to agree with",
    "credit_entries": "the ledger is never changed, but for what people wrote into it as a reason",
    "refunds": "so that nothing is refunded twice; without the reason",
    "audit_entries": "what was done stays known; audit.blanking takes out what is personal, and the chain stays whole",
    "status_checks": "the client is a service client; forgotten after a week",
    "providers": "names nobody: its client_id is who this site is at the provider",
    "status_clients": "the client is a service client",
}
