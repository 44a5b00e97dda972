"""What can go wrong, in words a door can show. Verbs raise these; the frame gives them a face.

An error may carry `trace`: calls that write what must outlive the rollback (an audit entry, a
failure counter). The frame runs them in a transaction of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from portal.core.text import Shown, lazy_gettext

Trace = Callable[[], None]


class PortalError(Exception):
    """The root of everything a person may be told about."""

    status = 500
    code = "INTERNAL"
    title: Shown = lazy_gettext("Something went wrong")
    words: Shown = lazy_gettext("The fault is ours. Try again in a moment.")

    def __init__(self, words: Shown | None = None, *, trace: tuple[Trace, ...] = ()) -> None:
        self.words = words if words is not None else type(self).words
        self.trace = trace
        super().__init__(str(self.words))


class Malformed(PortalError):
    """The request cannot be read at all."""

    status = 400
    code = "MALFORMED"
    title = lazy_gettext("This request cannot be read")
    words = lazy_gettext("The request is not in a form that can be understood.")


class Unauthenticated(PortalError):
    """No credential, or one that is not good."""

    status = 401
    code = "UNAUTHENTICATED"
    title = lazy_gettext("A credential is needed")
    words = lazy_gettext("A valid credential is needed here.")


class TokenNeeded(Unauthenticated):
    """A program comes without a token, or with one that is not good."""

    title = lazy_gettext("A bearer token is needed")
    words = lazy_gettext(
        "Send the header Authorization: Bearer with an access token, or with the token of a service client. "
        "One that was sent is not good, or is good no more."
    )


class SignInNeeded(Unauthenticated):
    """A page needs somebody to be signed in; the frame leads to the sign-in page."""

    title = lazy_gettext("Sign in first")


class FactorNeeded(SignInNeeded):
    """A second factor has to be set up before anything else; the frame leads there."""


class Closing(SignInNeeded):
    """The account is on its way out: nothing is open but taking it back and one's data; the frame leads there."""


class StepOver(SignInNeeded):
    """What a browser began on the way in is over, was done already, or never was; it begins again at the start."""

    words = lazy_gettext("That took too long, or was done already. Begin again from the start.")


class Forbidden(PortalError):
    """Known, but not allowed."""

    status = 403
    code = "FORBIDDEN"
    title = lazy_gettext("Not allowed")
    words = lazy_gettext("Your account may not do this.")


class CaseNeeded(PortalError):
    """Staff may do this, but only in an open case about this user; pages ask for one and lead back."""

    status = 403
    code = "FORBIDDEN"
    title = lazy_gettext("Open a case first")
    words = lazy_gettext("This wants an open case about this user.")


class ReauthNeeded(PortalError):
    """Too long since this person last proved who they are; pages ask for it and lead back.

    `factor` says that a second factor is wanted, where one is set up.
    """

    status = 403
    code = "REAUTH_REQUIRED"
    title = lazy_gettext("Confirm that it is you")
    words = lazy_gettext("Sign in again before doing this: it has been a while.")

    def __init__(self, words: Shown | None = None, *, factor: bool = False, trace: tuple[Trace, ...] = ()) -> None:
        super().__init__(words, trace=trace)
        self.factor = factor


class NotFound(PortalError):
    """Not there, or not for this person to know of: both answer alike."""

    status = 404
    code = "NOT_FOUND"
    title = lazy_gettext("Not found")
    words = lazy_gettext("There is nothing here. It may have been moved or removed.")


class WrongMethod(PortalError):
    """There is something, but not for this method; the header Allow says for which."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    title = lazy_gettext("Not with this method")
    words = lazy_gettext("This address takes other methods; the header Allow names them.")


class Conflict(PortalError):
    """The state of things does not permit it now."""

    status = 409
    code = "CONFLICT"
    title = lazy_gettext("That clashes with something")
    words = lazy_gettext("Somebody was faster, or the record is in another state.")


class Stale(Conflict):
    """The record changed since it was read."""

    status = 412
    code = "STALE"
    title = lazy_gettext("Changed in the meantime")
    words = lazy_gettext("This record was changed by someone else. Read it again and repeat your change.")


class TooLarge(PortalError):
    """More bytes than are taken here."""

    status = 413
    code = "TOO_LARGE"
    title = lazy_gettext("Too large")
    words = lazy_gettext("This is larger than what is accepted here.")


class UnsupportedType(PortalError):
    """A body of another media type than the route reads."""

    status = 415
    code = "UNSUPPORTED_TYPE"
    title = lazy_gettext("Unsupported type")
    words = lazy_gettext("Send this as application/json.")


class Invalid(PortalError):
    """Readable but wrong. `fields` maps a field (or JSON pointer, for the API) to what is wrong with it."""

    status = 422
    code = "INVALID"
    title = lazy_gettext("Please check what you typed")
    words = lazy_gettext("Something in it is not valid.")

    def __init__(
        self,
        fields: Mapping[str, Shown] | None = None,
        words: Shown | None = None,
        *,
        trace: tuple[Trace, ...] = (),
    ) -> None:
        super().__init__(words, trace=trace)
        self.fields: dict[str, Shown] = dict(fields or {})


class LimitReached(PortalError):
    """Too often. `retry_after` is in whole seconds."""

    status = 429
    code = "RATE_LIMITED"
    title = lazy_gettext("Too many tries")
    words = lazy_gettext("Wait a little, then try again.")

    def __init__(self, words: Shown | None = None, *, retry_after: int, trace: tuple[Trace, ...] = ()) -> None:
        super().__init__(words, trace=trace)
        self.retry_after = max(1, retry_after)


class Unavailable(PortalError):
    """A part that is needed to do this safely is down. `retry_after` is in whole seconds."""

    status = 503
    code = "UNAVAILABLE"
    title = lazy_gettext("Not available just now")
    words = lazy_gettext("This cannot be done safely at the moment. Try again shortly.")

    def __init__(self, words: Shown | None = None, *, retry_after: int = 5, trace: tuple[Trace, ...] = ()) -> None:
        super().__init__(words, trace=trace)
        self.retry_after = max(1, retry_after)
