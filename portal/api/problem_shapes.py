"""Errors as the API tells them: problem documents (RFC 9457), and those of RFC 6749 for tokens."""

from __future__ import annotations

from typing import Annotated

import msgspec

from portal.core import errors
from portal.repeats.service import Mismatch

ALL: tuple[type[errors.PortalError], ...] = (
    errors.Malformed,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.ReauthNeeded,
    errors.NotFound,
    errors.WrongMethod,
    errors.Conflict,
    errors.Stale,
    errors.TooLarge,
    errors.UnsupportedType,
    errors.Invalid,
    Mismatch,
    errors.LimitReached,
    errors.Unavailable,
    errors.PortalError,
)
CODES = [error.code for error in ALL]
Code = Annotated[str, msgspec.Meta(description="For programs; never renamed.", extra_json_schema={"enum": CODES})]


class FaultShape(msgspec.Struct):
    """One thing that is wrong with what was sent."""

    pointer: Annotated[str, msgspec.Meta(description="Where: a JSON pointer, or the name of a parameter or header.")]
    detail: str


class ProblemShape(msgspec.Struct):
    """A problem document (RFC 9457)."""

    type: Annotated[str, msgspec.Meta(description="Opens what this code means and what to do.")]
    title: str
    status: int
    detail: str
    instance: Annotated[str, msgspec.Meta(description="The path that was asked for.")]
    code: Code
    request_id: Annotated[str | None, msgspec.Meta(description="Names this request when you ask for help.")]
    errors: list[FaultShape] | msgspec.UnsetType = msgspec.UNSET


class TokenErrorShape(msgspec.Struct):
    """An error of the routes for tokens (RFC 6749, 5.2)."""

    error: str
    error_description: str
    code: Code
    request_id: str | None
    mfa_token: Annotated[str, msgspec.Meta(description="With `mfa_required`: send it with a code.")] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
