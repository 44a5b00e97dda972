"""What a person is told, and with which code."""

from __future__ import annotations

import pytest

from portal.core import errors

CODES = [
    (errors.PortalError, 500, "INTERNAL"),
    (errors.Malformed, 400, "MALFORMED"),
    (errors.Unauthenticated, 401, "UNAUTHENTICATED"),
    (errors.SignInNeeded, 401, "UNAUTHENTICATED"),
    (errors.FactorNeeded, 401, "UNAUTHENTICATED"),
    (errors.Forbidden, 403, "FORBIDDEN"),
    (errors.NotFound, 404, "NOT_FOUND"),
    (errors.Conflict, 409, "CONFLICT"),
    (errors.Stale, 412, "STALE"),
    (errors.TooLarge, 413, "TOO_LARGE"),
    (errors.UnsupportedType, 415, "UNSUPPORTED_TYPE"),
    (errors.Invalid, 422, "INVALID"),
]


@pytest.mark.parametrize(("kind", "status", "code"), CODES)
def test_each_error_has_its_status_its_code_and_words(kind: type[errors.PortalError], status: int, code: str) -> None:
    error = kind()
    assert (error.status, error.code) == (status, code)
    assert str(error.title) and str(error.words) and str(error) == str(error.words)
    assert str(kind(words="Other words.").words) == "Other words."


@pytest.mark.parametrize("kind", [errors.LimitReached, errors.Unavailable])
def test_waiting_is_told_in_whole_seconds_and_at_least_one(kind: type[errors.LimitReached]) -> None:
    assert kind(retry_after=0).retry_after == 1
    assert kind(retry_after=90).retry_after == 90


def test_an_invalid_field_is_named() -> None:
    error = errors.Invalid({"email": "This is not an e-mail address."})
    assert error.fields == {"email": "This is not an e-mail address."}
