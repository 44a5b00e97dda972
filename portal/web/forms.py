"""Between a form and a verb: errors of the rule go beside the field, and nothing of the change is kept."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy.exc import IntegrityError
from wtforms import IntegerField
from wtforms.validators import StopValidation

from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, PortalError
from portal.core.text import gettext
from portal.web.frame import keep_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_wtf import FlaskForm

# Longer than any address of ours; what a trip to a provider is to lead to is stored.
MOST_TARGET = 2_000


class WholeNumberField(IntegerField):  # type: ignore[misc]  # wtforms is untyped
    """A number of plain digits, at most twenty of them: int() alone would also read 1_000 and ١٢٣."""

    data: Any
    plain = True

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed; nothing typed is None."""
        typed = valuelist[0].strip() if valuelist else ""
        self.plain = not typed or re.fullmatch(r"[+-]?[0-9]{1,20}", typed) is not None
        self.data = int(typed) if typed and self.plain else None

    def pre_validate(self, form: FlaskForm) -> None:
        """Say what is wrong with it, and nothing more."""
        if not self.plain:
            raise StopValidation(gettext("A whole number in plain digits."))


class Attempt:
    """Whether the verb inside the block went through; where it did not and no form shows why, `words` say it."""

    done = False
    words = ""


@contextmanager
def told_beside(form: FlaskForm) -> Iterator[Attempt]:
    """Run a verb; what it finds wrong is shown on the form, with what was typed kept."""
    attempt = Attempt()
    try:
        yield attempt
        db.session.flush()
        attempt.done = True
    except (Invalid, Conflict, Forbidden, IntegrityError) as caught:
        db.session.rollback()
        # Somebody else took the name, or did the same, between our looking and our writing.
        error = Conflict() if isinstance(caught, IntegrityError) else caught
        keep_trace(error)
        fields = error.fields if isinstance(error, Invalid) else {}
        for name, words in fields.items():
            if name in form:
                form[name].errors = [*form[name].errors, str(words)]
            else:
                form.form_errors.append(str(words))
        if not fields:
            form.form_errors.append(str(error.words))


@contextmanager
def told_as_news(*kinds: type[PortalError]) -> Iterator[Attempt]:
    """Run a verb where there is no form to show what it finds wrong: errors of these kinds end in the attempt's words,
    with nothing of the change kept and their trace left.
    """
    attempt = Attempt()
    try:
        yield attempt
        db.session.flush()
        attempt.done = True
    except kinds as error:
        db.session.rollback()
        keep_trace(error)
        attempt.words = str(error.words)


def local_target(wanted: str | None, fallback: str) -> str:
    """A path on this origin, else the fallback: browsers read backslashes and control characters as they please."""
    if not wanted or len(wanted) > MOST_TARGET or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return fallback
    if any(ord(char) < 33 or char == "\\" for char in wanted):
        return fallback
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else fallback


def version_of(typed: str | None) -> int:
    """The version that a hidden field names; 0, which no record has, for anything else."""
    return int(typed) if typed and typed.isascii() and typed.isdigit() and len(typed) < 10 else 0
