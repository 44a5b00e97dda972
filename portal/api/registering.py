"""/api/v1/auth/register: a new user, by the same rules as on the page."""

from __future__ import annotations

from typing import Literal

import msgspec
from flask import Blueprint, Response

from portal.api.account_shapes import AccountShape, account_response
from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.signin.registration import NewPerson, register
from portal.web.identity import actor
from portal.web.languages import language
from portal.web.problems import shape_response

open_blueprint = Blueprint("registering", __name__, url_prefix="/auth")


class NewUserAccount(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants an account."""

    username: str
    email: str
    password: str
    display_name: str = ""
    time_zone: str = ""


class CheckMail(msgspec.Struct):
    """The account waits for the link that was mailed, if there is any: of e-mail addresses nothing is told."""

    status: Literal["check_mail"] = "check_mail"


@open_blueprint.post("/register")
@describes(
    {201: AccountShape, 202: CheckMail},
    body=NewUserAccount,
    errors=(403, 429),
    example={"username": "ida", "email": "ida@example.org", "password": "seven quiet lanterns 42"},
)
def sign_up() -> Response:
    """Register; with CONFIRM_EMAIL the answer is the same for every e-mail address."""
    body = read_body(NewUserAccount)
    person = NewPerson(body.username, body.email, body.display_name, body.time_zone, language())
    user = register(actor(), person, body.password)
    return shape_response(CheckMail(), 202) if user is None else account_response(user, 201)
