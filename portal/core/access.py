"""Every capability with a sentence, and the one table of who holds which. Not listed means denied."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from portal.core import clock
from portal.core.actor import PEOPLE, Actor, ActorKind
from portal.core.errors import CaseNeeded, Forbidden, Invalid, ReauthNeeded
from portal.core.text import gettext

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

P = ParamSpec("P")
R = TypeVar("R")


class Capability(StrEnum):
    """One named right. The sentence says what its holder may do."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Capability:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    OWN_PROFILE = "own.profile", "See and edit one's own profile."
    OWN_SESSIONS = "own.sessions", "See and end one's own sessions."
    OWN_SECURITY = "own.security", "Change one's own password, names, second factors and linked sign-ins."
    OWN_ACTIVITY = "own.activity", "See what was done with one's own account, and by whom."
    OWN_DATA = "own.data", "Download everything held about oneself; close the account and take that back."
    OWN_KEYS = "own.keys", "Make, change, replace and revoke one's own API keys."
    OWN_USAGE = "own.usage", "See one's own limit, credits and usage."
    OWN_CONVERSATIONS = "own.conversations", "Read and search one's own conversations, choose how long they are kept."
    OWN_PROMPTS = "own.prompts", "Keep, change and delete one's own prompts."
    OWN_EXPORTS = "own.exports", "Export what is one's own and fetch the files."

    USER_FIND = "user.find", "Find a user and see the masked record with its usage."
    USER_CONTACT = "user.contact", "See e-mail addresses unmasked, by permission."
    USER_READ = "user.read", "List users and see their whole record."
    USER_WRITE = "user.write", "Invite, edit, suspend and reactivate users, change their plan, start a reset."
    USER_DELETE = "user.delete", "Delete users and restore deleted ones."
    CREDIT_WRITE = "credit.write", "Grant and adjust credits."
    PLAN_READ = "plan.read", "See plans."
    PLAN_WRITE = "plan.write", "Make and change plans."
    STAFF_MANAGE = "staff.manage", "Invite staff and set their level."
    ADMIN_MANAGE = "admin.manage", "Invite admins and set their permissions."
    CLIENT_MANAGE = "client.manage", "Make, change and disable service clients."
    AUDIT_READ = "audit.read", "Read the audit log."
    JOB_READ = "job.read", "See what jobs ran and how the service fares."
    JOB_RUN = "job.run", "Run jobs now and pause them."
    CONSOLE_SEE = "console.see", "See the console's dashboard."
    SETTING_MANAGE = "setting.manage", "See settings and change what can be changed."
    CASE_WORK = "case.work", "Open, claim, hand up, hand back and close cases; answer those who asked for help."
    CASE_OWN = "case.own", "Ask for help, and see what became of it."
    NOTE_WRITE = "note.write", "Read and write notes on a user's record, and read the cases about them."
    CONFIRMATION_RESEND = "user.resend_confirmation", "Have the link that confirms an e-mail address mailed again."
    USER_REVEAL = "user.reveal", "Unmask an e-mail or network address of a user for a while, giving a reason."
    ACCOUNT_UNLOCK = "account.unlock", "Lift the lock of a user's account and let them try again."
    RESET_MAIL = "user.mail_reset", "Have the link for a new password mailed to a user."
    USAGE_RESET = "usage.reset", "Give a user today's limit back, twice a day at most."
    KEY_STOP = "key.stop", "Revoke an API key of a user."
    SESSION_STOP = "session.stop", "End the sessions of a user."
    USER_VIEW_AS = "user.view_as", "See a user's own pages as they do, changing nothing."
    USER_SUSPEND = "user.suspend", "Suspend users and reactivate them."
    CREDIT_ADJUST = "credit.adjust", "Adjust a user's credits within STAFF_CREDIT_CAP."
    PLAN_CHANGE = "user.change_plan", "Put a user on another plan."
    LIMIT_BOOST = "user.boost", "Raise a user's daily limit for a while."
    USER_RESTORE = "user.restore", "Restore deleted users."
    RECORD_EXPORT = "user.export", "Take a user's record away as a file."

    LOG_METADATA = "log.metadata", "See message log metadata of others."
    LOG_CONTENT = "log.content", "Read message content of others, giving a reason."
    LOG_QUARANTINE = "log.quarantine", "See records that could not be stored, try them again, drop them."
    ENCRYPTION_ROTATE = "encryption.rotate", "Put a new encryption or signing key in the place of the old ones."
    BACKUP = "backup", "Make backups and restore them."
    ACCOUNT_RESCUE = "account.rescue", "Hand out a reset link; lift the lock of an account."

    KEY_VERIFY = "key.verify", "Ask whether an API key is good, and spend."
    USAGE_CONSUME = "usage.consume", "Spend for a user without a key."
    USAGE_LEASE = "usage.lease", "Take blocks of units in advance."
    LOG_WRITE = "log.write", "Push message logs."
    LOG_READ = "log.read", "Read message log metadata over the API."
    STATUS_WRITE = "status.write", "Post status checks."
    STATUS_READ = "status.read", "Read status checks."
    KEY_READ = "key.read", "Read API keys over the API."
    KEY_WRITE = "key.write", "Make and change API keys over the API."
    CREDIT_READ = "credit.read", "Read ledgers."
    PROMPT_READ = "prompt.read", "Read saved prompts."
    PROMPT_WRITE = "prompt.write", "Change saved prompts."
    TOKEN_INTROSPECT = "token.introspect", "Ask what a token is worth."


C = Capability

OWN: frozenset[Capability] = frozenset({C.OWN_PROFILE, C.OWN_SESSIONS, C.OWN_SECURITY, C.OWN_ACTIVITY})
USER: frozenset[Capability] = OWN | {
    C.OWN_KEYS,
    C.OWN_USAGE,
    C.OWN_CONVERSATIONS,
    C.OWN_PROMPTS,
    C.OWN_EXPORTS,
    C.OWN_DATA,
    C.CASE_OWN,
}

LEVEL_1: frozenset[Capability] = OWN | {C.USER_FIND, C.CASE_WORK, C.NOTE_WRITE, C.CONFIRMATION_RESEND}
LEVEL_2: frozenset[Capability] = LEVEL_1 | {
    C.LOG_METADATA,
    C.USER_REVEAL,
    C.ACCOUNT_UNLOCK,
    C.RESET_MAIL,
    C.USAGE_RESET,
    C.KEY_STOP,
    C.SESSION_STOP,
    C.USER_VIEW_AS,
}
LEVEL_3: frozenset[Capability] = LEVEL_2 | {
    C.LOG_CONTENT,
    C.USER_SUSPEND,
    C.CREDIT_ADJUST,
    C.PLAN_CHANGE,
    C.LIMIT_BOOST,
    C.USER_RESTORE,
    C.RECORD_EXPORT,
}
LEVELS: dict[int, frozenset[Capability]] = {1: LEVEL_1, 2: LEVEL_2, 3: LEVEL_3}

READS: frozenset[Capability] = frozenset({C.USER_FIND, C.USER_CONTACT, C.USER_READ, C.PLAN_READ, C.CREDIT_READ})
PERMISSIONS: dict[str, frozenset[Capability]] = {
    "users.read": READS | {C.LOG_METADATA, C.LOG_READ, C.NOTE_WRITE},
    "users.write": READS
    | {
        C.USER_WRITE,
        C.LOG_METADATA,
        C.LOG_READ,
        C.NOTE_WRITE,
        C.CONFIRMATION_RESEND,
        C.ACCOUNT_UNLOCK,
        C.RESET_MAIL,
        C.USAGE_RESET,
        C.KEY_STOP,
        C.SESSION_STOP,
        C.USER_VIEW_AS,
        C.USER_SUSPEND,
        C.PLAN_CHANGE,
        C.LIMIT_BOOST,
        C.RECORD_EXPORT,
    },
    "users.delete": READS | {C.USER_DELETE, C.USER_RESTORE},
    "credits.write": frozenset({C.USER_FIND, C.USER_READ, C.CREDIT_READ, C.CREDIT_WRITE, C.CREDIT_ADJUST}),
    "plans.write": frozenset({C.PLAN_READ, C.PLAN_WRITE}),
    "staff.manage": frozenset({C.STAFF_MANAGE}),
    "admins.manage": frozenset({C.ADMIN_MANAGE}),
    "clients.manage": frozenset({C.CLIENT_MANAGE}),
    "logs.content": frozenset({C.LOG_METADATA, C.LOG_READ, C.LOG_CONTENT, C.LOG_QUARANTINE}),
    "audit.read": frozenset({C.AUDIT_READ}),
    "jobs.run": frozenset({C.JOB_READ, C.JOB_RUN}),
    "settings.manage": frozenset({C.SETTING_MANAGE}),
}
ADMIN: frozenset[Capability] = OWN | {C.CONSOLE_SEE, C.STATUS_READ}
GRANTABLE: frozenset[Capability] = frozenset().union(*PERMISSIONS.values())

SCOPES: dict[str, frozenset[Capability]] = {
    "keys:verify": frozenset({C.KEY_VERIFY}),
    "usage:consume": frozenset({C.USAGE_CONSUME}),
    "usage:lease": frozenset({C.USAGE_LEASE}),
    "logs:write": frozenset({C.LOG_WRITE}),
    "logs:read": frozenset({C.LOG_READ}),
    "logs:content": frozenset({C.LOG_READ, C.LOG_CONTENT}),
    "status:write": frozenset({C.STATUS_WRITE}),
    "status:read": frozenset({C.STATUS_READ}),
    "users:read": frozenset({C.USER_FIND, C.USER_READ, C.USER_CONTACT}),
    "users:write": frozenset({C.USER_WRITE, C.USER_DELETE}),
    "keys:read": frozenset({C.KEY_READ}),
    "keys:write": frozenset({C.KEY_WRITE}),
    "plans:read": frozenset({C.PLAN_READ}),
    "plans:write": frozenset({C.PLAN_WRITE}),
    "credits:read": frozenset({C.CREDIT_READ}),
    "credits:write": frozenset({C.CREDIT_WRITE}),
    "prompts:read": frozenset({C.PROMPT_READ}),
    "prompts:write": frozenset({C.PROMPT_WRITE}),
    "audit:read": frozenset({C.AUDIT_READ}),
    "tokens:introspect": frozenset({C.TOKEN_INTROSPECT}),
}

EVERYTHING: frozenset[Capability] = frozenset(Capability)
# What no account and no client is ever given: it wants the machine itself.
OPERATOR_ONLY: frozenset[Capability] = frozenset({C.ENCRYPTION_ROTATE, C.BACKUP, C.ACCOUNT_RESCUE})

RANK_USER, RANK_STAFF, RANK_ADMIN, RANK_FULL_ADMIN, RANK_OPERATOR = 10, 20, 40, 50, 100


def of_level(level: int) -> frozenset[Capability]:
    """What a staff member of this level may do. An unknown level may do nothing."""
    return LEVELS.get(level, frozenset())


def of_permissions(permissions: list[str]) -> frozenset[Capability]:
    """What an admin with these permissions may do."""
    return ADMIN.union(*(PERMISSIONS.get(name, frozenset()) for name in permissions))


@lru_cache(maxsize=1000)
def of_scopes(scopes: tuple[str, ...]) -> frozenset[Capability]:
    """What a service client with these scopes may do."""
    return frozenset().union(*(SCOPES.get(name, frozenset()) for name in scopes))


def outranks(actor: Actor, rank: int) -> bool:
    """Whether the actor may act on an account of this rank. A full admin may act on other full admins.

    A service client has no rank: what its scopes let it do, it does to users and to nobody above them.
    """
    if actor.kind is ActorKind.CLIENT:
        return rank <= RANK_USER
    return actor.rank > rank or (actor.rank == rank == RANK_FULL_ADMIN)


def job_actor(name: str) -> Actor:
    """The actor of a job: it may do everything, and the record names the job."""
    return Actor(ActorKind.JOB, name, capabilities=EVERYTHING, rank=RANK_OPERATOR, credential="job")


def operator_actor(name: str = "operator") -> Actor:
    """The person at the command line, who owns the machine."""
    return Actor(ActorKind.OPERATOR, name, capabilities=EVERYTHING, rank=RANK_OPERATOR, credential="command line")


def needs(
    *any_of: Capability, case: bool = False
) -> Callable[[Callable[Concatenate[Actor, P], R]], Callable[Concatenate[Actor, P], R]]:
    """Let the verb run only for an actor who holds at least one of the capabilities. Raises Forbidden.

    With `case`, staff must act in an open case (the verb checks with `check_case` that it is about the same user) and
    people of the console must give a reason; see `check_grounds`.
    """

    def dress(verb: Callable[Concatenate[Actor, P], R]) -> Callable[Concatenate[Actor, P], R]:
        @wraps(verb)
        def guarded(actor: Actor, *args: P.args, **kwargs: P.kwargs) -> R:
            if actor.capabilities.isdisjoint(any_of):
                raise Forbidden
            if case:
                check_grounds(actor)
            return verb(actor, *args, **kwargs)

        guarded.__access__ = any_of  # type: ignore[attr-defined]  # read by the test that prints the table
        guarded.__case__ = case  # type: ignore[attr-defined]  # printed in the access table
        return cast("Callable[Concatenate[Actor, P], R]", guarded)

    return dress


def check_grounds(actor: Actor) -> None:
    """Staff act in a case, admins give a reason. Raises CaseNeeded, Invalid at "reason"."""
    if actor.kind is ActorKind.STAFF and actor.case is None:
        raise CaseNeeded
    if actor.kind is ActorKind.ADMIN and not (actor.reason or "").strip():
        raise Invalid({"reason": gettext("Say why.")})


def check_case(actor: Actor, user_id: UUID) -> None:
    """The case of staff must be about this user. Raises CaseNeeded."""
    if actor.kind is ActorKind.STAFF and (actor.case is None or actor.case_of != user_id):
        raise CaseNeeded


# How long ago a person may have proved who they are, for a dangerous act: by anything, and by a second factor.
RECENT = timedelta(minutes=5)
RECENTLY_PROVEN = timedelta(minutes=10)


def check_recent(actor: Actor, *, factor: bool = False) -> None:
    """Raises ReauthNeeded for a person who last proved who they are over five minutes ago.

    With `factor`, ten minutes, but with the second factor where one is set up. Clients, jobs and the operator have no
    person to ask again: their scope decides.
    """
    if actor.kind not in PEOPLE:
        return
    last, most = (actor.proven_at, RECENTLY_PROVEN) if factor else (actor.entered_at, RECENT)
    if last is None or clock.now() - last > most:
        raise ReauthNeeded(factor=factor)


def recently(
    *, factor: bool = False
) -> Callable[[Callable[Concatenate[Actor, P], R]], Callable[Concatenate[Actor, P], R]]:
    """Let the verb run only for a person who proved who they are a short while ago; see `check_recent`.

    It stands below `@needs`, so that whoever may not do it at all is told that first.
    """

    def dress(verb: Callable[Concatenate[Actor, P], R]) -> Callable[Concatenate[Actor, P], R]:
        @wraps(verb)
        def asked(actor: Actor, *args: P.args, **kwargs: P.kwargs) -> R:
            check_recent(actor, factor=factor)
            return verb(actor, *args, **kwargs)

        asked.__recently__ = "factor" if factor else "any"  # type: ignore[attr-defined]  # printed in the access table
        return cast("Callable[Concatenate[Actor, P], R]", asked)

    return dress


def open_to_all(
    why: str,
) -> Callable[[Callable[Concatenate[Actor, P], R]], Callable[Concatenate[Actor, P], R]]:
    """Mark a verb that anybody may call, and say why."""

    def dress(verb: Callable[Concatenate[Actor, P], R]) -> Callable[Concatenate[Actor, P], R]:
        verb.__access__ = why  # type: ignore[attr-defined]  # read by the test that prints the table
        return verb

    return dress
