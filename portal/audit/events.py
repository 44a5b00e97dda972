"""Every event there is, with the facts it carries and the sentence shown for it. Other facts are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.core.text import lazy_gettext as words

if TYPE_CHECKING:
    from babel.support import LazyProxy


@dataclass(frozen=True, slots=True)
class Event:
    """A kind of act: its name, the exact facts, and words in the past tense.

    `personal`: the facts that tell of a user in the user's own words or numbers; a purge takes them away.
    """

    name: str
    sentence: LazyProxy
    facts: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()


EVENTS: dict[str, Event] = {}


def _event(name: str, sentence: LazyProxy, *facts: str, personal: tuple[str, ...] = ()) -> Event:
    EVENTS[name] = Event(name, sentence, frozenset(facts), frozenset(personal))
    return EVENTS[name]


ACCOUNT_REGISTERED = _event("account.registered", words("registered"), "kind", "plan")
ACCOUNT_CONFIRMED = _event("account.confirmed", words("confirmed the e-mail address"))
ACCOUNT_INVITED = _event("account.invited", words("invited an account"), "kind", "handed_over")
ACCOUNT_ACTIVATED = _event("account.activated", words("accepted an invitation"), "kind")
ACCOUNT_EDITED = _event("account.edited", words("edited an account"), "changed")
PROFILE_EDITED = _event("profile.edited", words("edited the own profile"), "changed")
PLAN_CHANGED = _event("account.plan_changed", words("changed the plan"), "from", "to", "starts_at")
PLAN_TAKEN_BACK = _event("account.plan_taken_back", words("took back a coming plan"), "plan", "starts_at")
PLAN_BEGUN = _event("account.plan_begun", words("began a coming plan"), "from", "to", "starts_at")
LIMIT_CHANGED = _event("account.limit_changed", words("changed the own daily limit"), "from", "to")
LIMIT_BOOSTED = _event("account.limit_boosted", words("boosted the daily limit"), "extra", "until")
BOOST_ENDED = _event("account.boost_ended", words("ended a boost"), "extra", "until")
ZONE_CHANGED = _event(
    "account.zone_changed",
    words("changed the time zone"),
    "from",
    "to",
    "day_until",
    personal=(
        "from",
        "to",
    ),
)
ACCOUNT_SUSPENDED = _event("account.suspended", words("suspended an account"), "from", "to")
ACCOUNT_REACTIVATED = _event("account.reactivated", words("reactivated an account"), "from", "to")
ACCOUNT_DELETED = _event("account.deleted", words("deleted an account"), "purge_after")
ACCOUNT_RESTORED = _event("account.restored", words("restored an account"))
PURGE_ASKED = _event("account.purge_asked", words("had a deleted account purged before its time"))
ACCOUNT_PURGED = _event("account.purged", words("purged a deleted account"))
FIRST_ADMIN_MADE = _event("admin.first", words("made the first admin"))
STAFF_CHANGED = _event("staff.changed", words("changed a staff level"), "from", "to")
ADMIN_CHANGED = _event("admin.changed", words("changed admin permissions"), "from", "to")

SIGNED_IN = _event("sign_in.done", words("signed in"), "method")
SIGN_IN_HALFWAY = _event("sign_in.halfway", words("showed who they are, and owes a second factor"), "method")
SIGN_IN_FAILED = _event("sign_in.failed", words("failed to sign in"), "why")
SIGNED_OUT = _event("sign_in.ended", words("signed out"))
TOKENS_GRANTED = _event("token.granted", words("got tokens for the API"), "method")
TOKENS_REVOKED = _event("token.revoked", words("revoked tokens of the API"))
TOKEN_REPLAYED = _event("token.replayed", words("used a refresh token again: the tokens of that sign-in were ended"))
CLIENT_GRANT_FAILED = _event("token.client_refused", words("failed to get a token as a service client"))
SIGNING_KEY_ROTATED = _event("signing_key.rotated", words("made a new key for signing access tokens"), "kid")
PASSWORD_RESET_STARTED = _event("password.reset_started", words("started a password reset"))
PASSWORD_RESET = _event("password.reset", words("set a new password by link"))
PASSWORD_CHANGED = _event("password.changed", words("changed the password"))
REAUTH_DONE = _event("sign_in.confirmed", words("confirmed who they are"), "method")
REAUTH_FAILED = _event("sign_in.not_confirmed", words("failed to confirm who they are"))
SESSIONS_ENDED = _event("sign_in.all_ended", words("ended sessions of an account"))
NOT_ME_SAID = _event("sign_in.disowned", words("said that a sign-in was not theirs"), "address", personal=("address",))
ACCOUNT_LOCKED = _event("account.locked", words("locked an account"))
ACCOUNT_UNLOCKED = _event("account.unlocked", words("unlocked an account"))
EMAIL_CHANGE_ASKED = _event("email.change_asked", words("asked for another e-mail address"))
EMAIL_CHANGE_DROPPED = _event("email.change_dropped", words("took back a wish for another e-mail address"))
EMAIL_CHANGED = _event("email.changed", words("changed the e-mail address"))
EMAIL_KEPT = _event("email.kept", words("took back a change of the e-mail address"))
USERNAME_CHANGED = _event(
    "username.changed",
    words("changed the username"),
    "from",
    "to",
    personal=(
        "from",
        "to",
    ),
)
AUTHENTICATOR_ADDED = _event("factor.authenticator_added", words("added an authenticator app"))
AUTHENTICATOR_REMOVED = _event("factor.authenticator_removed", words("removed the authenticator app"))
PASSKEY_ADDED = _event("factor.passkey_added", words("added a passkey"), "name", personal=("name",))
PASSKEY_CHANGED = _event(
    "factor.passkey_changed",
    words("renamed a passkey"),
    "from",
    "to",
    personal=(
        "from",
        "to",
    ),
)
PASSKEY_REMOVED = _event("factor.passkey_removed", words("removed a passkey"), "name", personal=("name",))
RECOVERY_CODES_MADE = _event("factor.recovery_codes_made", words("made new recovery codes"))
RECOVERY_CODE_USED = _event("factor.recovery_code_used", words("used a recovery code"), "left")
FACTORS_RESET = _event("factor.reset", words("took away the second factors of an account"))
IDENTITY_LINKED = _event("identity.linked", words("linked an outside sign-in"), "provider")
IDENTITY_UNLINKED = _event("identity.unlinked", words("unlinked an outside sign-in"), "provider")
PROVIDER_CREATED = _event("provider.created", words("added a sign-in provider"), "name")
PROVIDER_CHANGED = _event("provider.changed", words("changed a sign-in provider"), "name", "changed")
PROVIDER_DELETED = _event("provider.deleted", words("removed a sign-in provider"), "name")
NETWORK_ADDED = _event("network.added", words("allowed a network"), "kind", "network")
NETWORK_REMOVED = _event("network.removed", words("took a network off the list"), "kind", "network")
PICTURE_CHANGED = _event("profile.picture_changed", words("changed the picture"))
PICTURE_REMOVED = _event("profile.picture_removed", words("removed the picture"))
CLOSING_ASKED = _event("account.closing", words("asked to close the account"), "closes_at")
CLOSING_TAKEN_BACK = _event("account.closing_taken_back", words("took back the closing of the account"))
DATA_ASKED = _event("data.asked", words("asked for everything held"))
MAIL_TESTED = _event("mail.tested", words("sent a test mail"))
MAIL_RETRIED = _event("mail.retried", words("had given-up mails sent again"), "count")

KEY_CREATED = _event("key.created", words("created an API key"), "name", "prefix", personal=("name",))
KEY_CHANGED = _event("key.changed", words("changed an API key"), "changed")
KEY_ROTATED = _event(
    "key.rotated", words("replaced an API key"), "name", "prefix", "by_prefix", "ends", personal=("name",)
)
KEY_REVOKED = _event("key.revoked", words("revoked an API key"), "name", "prefix", personal=("name",))
KEY_LEAKED = _event("key.leaked", words("handed in a leaked API key"), "name", "prefix", personal=("name",))
CLIENT_CREATED = _event("client.created", words("created a service client"), "name", "scopes")
CLIENT_RATE_CHANGED = _event(
    "client.rate_changed", words("changed how often a service client may call"), "name", "from", "to"
)
CLIENT_DISABLED = _event("client.disabled", words("disabled a service client"), "name")
USAGE_WARNINGS_SET = _event("usage.warnings_set", words("chose about usage warnings by mail"), "on")
CREDITS_GRANTED = _event("credits.granted", words("granted credits"), "amount", "balance")
CREDITS_ADJUSTED = _event("credits.adjusted", words("adjusted credits"), "amount", "balance")
PLAN_CREATED = _event("plan.created", words("created a plan"), "name")
PLAN_EDITED = _event("plan.edited", words("changed a plan"), "changed")
PLAN_DELETED = _event("plan.deleted", words("deleted a plan"), "name")
JOB_STARTED = _event("job.started", words("started a job by hand"), "job")
JOB_PAUSED = _event("job.paused", words("paused a job"), "job")
JOB_RESUMED = _event("job.resumed", words("resumed a job"), "job")
RECORD_VIEWED = _event("record.viewed", words("looked at a record"))
FIELD_REVEALED = _event("record.revealed", words("unmasked a field of a record"), "field", "until")
VIEW_OPENED = _event("record.view_opened", words("saw the pages of a user as they do"), "until")
VIEW_CLOSED = _event("record.view_closed", words("stopped seeing the pages of a user"))
RECORD_EXPORTED = _event("record.exported", words("took a record away as a file"))
CASE_OPENED = _event("case.opened", words("opened a case"), "subject", "channel")
CASE_CLAIMED = _event("case.claimed", words("took a case on"))
CASE_HANDED_UP = _event("case.handed_up", words("handed a case up"), "level", "person")
CASE_HANDED_BACK = _event("case.handed_back", words("put a case back into the queue"))
CASE_ANSWERED = _event("case.answered", words("answered a user in a case"))
CASE_CLOSED = _event("case.closed", words("closed a case"), "why")
CASE_WRITTEN = _event("case.written", words("wrote to the desk in a case"), "reopened")
HELP_ASKED = _event("case.help_asked", words("asked for help"), "subject")
NOTE_ADDED = _event("note.added", words("wrote a note on a record"), "pinned")
NOTE_CHANGED = _event("note.changed", words("pinned or unpinned a note"), "pinned")
NOTE_REMOVED = _event("note.removed", words("removed a note from a record"))
CONFIRMATION_RESENT = _event("account.confirmation_resent", words("had the confirmation mailed again"))
TODAY_RESET = _event("usage.today_reset", words("gave today's limit back"), "day", "used")
ACT_UNDONE = _event("act.undone", words("undid what was done"), "entry", "event")
AUDIT_EXPORTED = _event("audit.exported", words("exported the audit log"), "format", "count")
AUDIT_VERIFIED = _event("audit.verified", words("checked the chain of the audit log"), "found")
AUDIT_ARCHIVED = _event("audit.archived", words("archived old entries of the audit log"), "count", "first", "last")
USAGE_REFUNDED = _event("usage.refunded", words("refunded usage"), "conversations", "credits")
CONTENT_OPENED = _event("conversation.opened", words("opened conversations of a user for reading"), "log", "until")
CONTENT_READ = _event("conversation.read", words("read what was said"), "what", "count")
CONTENT_SEARCHED = _event("conversation.searched", words("searched what was said"), "what", "count")
LOGS_EXPORTED = _event("conversation.exported", words("exported message logs"), "format", "count")
KEEPING_CHOSEN = _event("conversation.keeping_chosen", words("chose what is kept of conversations"), "from", "to")
QUARANTINE_RETRIED = _event("quarantine.retried", words("tried set aside records again"), "count", "stored")
QUARANTINE_DROPPED = _event("quarantine.dropped", words("dropped set aside records"), "count")
MESSAGES_SEALED = _event("messages.sealed", words("sealed what was kept unsealed"), "count")
PROMPT_CREATED = _event("prompt.created", words("saved a prompt"))
PROMPT_CHANGED = _event("prompt.changed", words("changed a prompt"), "changed")
PROMPT_DELETED = _event("prompt.deleted", words("deleted a prompt"))
STATUS_CLIENT_FORGOTTEN = _event("status.forgotten", words("stopped waiting for signs of life"), "name")
ENCRYPTION_KEY_ROTATED = _event("encryption_key.rotated", words("rotated the encryption key"), "count")
BACKUP_MADE = _event("backup.made", words("made a backup"), "rows")
BACKUP_RESTORED = _event("backup.restored", words("restored a backup"), "rows")
ACCESS_REFUSED = _event("access.refused", words("was refused"), "what")
USERS_SEEDED = _event("users.seeded", words("made demo data"), "users", "logs")
