"""The application class: one commit per request, errors to pages and to problem documents."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import structlog
from flask import Flask, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from portal.core import errors
from portal.core.database import db, transaction
from portal.core.text import gettext
from portal.web import faces, problems
from portal.web.gates import note_refusal
from portal.web.identity import note_visit, viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Request
    from werkzeug.routing import MapAdapter

    from portal.core.errors import PortalError

log = structlog.get_logger()
BY_STATUS: dict[int, type[PortalError]] = {
    400: errors.Malformed,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.WrongMethod,
    413: errors.TooLarge,
    415: errors.UnsupportedType,
    422: errors.Invalid,
    503: errors.Unavailable,
}


class Doorward(Flask):
    """Flask, committing once when the view has returned and nowhere else."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask does; but a Host header that is no name at all still gets the page that says so."""
        try:
            return super().create_url_adapter(request)
        except HTTPException:
            if request is None:
                raise
            return self.url_map.bind("localhost", path_info=request.path, default_method=request.method)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Every view and hook of ours is plain: looking at each again in every request costs what a query does."""
        return func

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, then commit; an error on either way keeps nothing of the change."""
        answer = super().dispatch_request()
        note_visit()
        if db.session.registry.has():  # the hot routes never open one
            db.session.commit()
        return answer


def is_machine_path(path: str) -> bool:
    """Whether this path belongs to the machine door, where errors are problem documents."""
    return path.startswith(("/api/", "/.well-known/"))


def answer_error(error: PortalError) -> Response:
    """The face of an error: undo, keep its trace in a transaction of its own, then a page or a document."""
    db.session.rollback()
    keep_trace(error)
    response = problems.problem(error) if is_machine_path(request.path) else faces.error_page(error)
    if retry_after := getattr(error, "retry_after", None):
        response.headers["Retry-After"] = str(retry_after)
    return response


def keep_trace(error: PortalError) -> None:
    """Write what must outlive the rollback of a refusal, in a transaction of its own."""
    writes = (*error.trace, note_refusal) if isinstance(error, errors.Forbidden) else error.trace
    if not writes:
        return
    try:
        with transaction():
            for write in writes:
                write()
    except SQLAlchemyError:
        # The refusal stands whether or not its trace could be kept; the log has it.
        log.exception("trace.lost", code=error.code)


def register_errors(app: Flask) -> None:
    """Every error there can be, to one of the two faces."""

    @app.errorhandler(errors.PortalError)
    def portal_error(error: PortalError) -> Response:
        return answer_error(error)

    @app.errorhandler(errors.SignInNeeded)
    def lead_to_sign_in(error: errors.SignInNeeded) -> ResponseReturnValue:
        """To the sign-in page, and from there back here; a form that was sent is not repeated."""
        db.session.rollback()
        if request.method not in {"GET", "HEAD"}:
            return answer_error(error)
        return redirect(url_for("public.sign_in.index", next=request.full_path.rstrip("?")))

    @app.errorhandler(errors.StepOver)
    def begin_again(error: errors.StepOver) -> ResponseReturnValue:
        """To the start of what is over: the sign-in page, or for somebody signed in the page they were on."""
        if is_machine_path(request.path):
            return answer_error(error)
        db.session.rollback()
        flash(str(error.words), "yellow")
        if viewer() is None:
            return redirect(url_for("public.sign_in.index", next=request.args.get("next")))
        return redirect(url_for("account.security.index"))

    @app.errorhandler(errors.FactorNeeded)
    def lead_to_factors(_error: errors.FactorNeeded) -> ResponseReturnValue:
        """To where a second factor is set up, and from there back here: nothing else is open until there is one."""
        db.session.rollback()
        here = request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else None
        return redirect(url_for("account.security.index", next=here))

    @app.errorhandler(errors.CaseNeeded)
    def lead_to_case(error: errors.CaseNeeded) -> ResponseReturnValue:
        """To where a case about this user is opened, and from there back; the API names the header instead."""
        db.session.rollback()
        user_id = (request.view_args or {}).get("user_id")
        if is_machine_path(request.path) or user_id is None:
            return answer_error(error)
        here = request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else _page_before()
        flash(gettext("Open a case first: say who asks, and what for."), "yellow")
        return redirect(url_for("staff.cases.new", user_id=user_id, next=here))

    @app.errorhandler(errors.Closing)
    def lead_to_closing(_error: errors.Closing) -> ResponseReturnValue:
        """To where the closing of an account can be taken back."""
        db.session.rollback()
        return redirect(url_for("account.data.index"))

    @app.errorhandler(errors.ReauthNeeded)
    def ask_who_it_is(error: errors.ReauthNeeded) -> ResponseReturnValue:
        """To where one shows again who one is, and from there back here; a form that was sent is not repeated."""
        if is_machine_path(request.path):
            return answer_error(error)
        db.session.rollback()
        here = request.full_path.rstrip("?")
        if request.method not in {"GET", "HEAD"}:
            here = _page_before() or url_for("public.home.index")
            flash(gettext("Nothing was done yet: confirm that it is you, then try again."), "yellow")
        return redirect(url_for("account.reauth.index", next=here, factor=int(error.factor)))

    @app.errorhandler(StaleDataError)
    def changed_meanwhile(_error: StaleDataError) -> Response:
        if is_machine_path(request.path):
            return answer_error(errors.Stale())
        return answer_error(errors.Conflict(gettext("Someone else changed this record in the meantime.")))

    @app.errorhandler(IntegrityError)
    def clashed(error: IntegrityError) -> Response:
        """Two did the same at once and one came first; the rule that looked beforehand could not see it."""
        log.info("request.clashed", error=type(error.orig).__name__)
        return answer_error(errors.Conflict())

    for lost in (OperationalError, PoolTimeout, sqlite3.OperationalError, psycopg.OperationalError):
        app.register_error_handler(lost, _database_away)

    @app.errorhandler(CSRFError)
    def no_token(_error: CSRFError) -> Response:
        words = gettext("This form had expired. Go back, reload the page and send it again.")
        return answer_error(errors.Malformed(words))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        status = error.code or 500
        if status < 400:
            return error
        told = BY_STATUS.get(status, errors.Malformed if status < 500 else errors.PortalError)()
        told.status = status  # a wrong method, a range past the end: rare ones keep their own number
        response = answer_error(told)
        for name, value in error.get_headers():
            if name in {"Allow", "Content-Range"}:
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.exception("request.failed", error=type(error).__name__)
        return answer_error(errors.PortalError())


def _page_before() -> str | None:
    """The page of ours that a form was on, by what the browser says."""
    came = urlsplit(request.headers.get("Referer", ""))
    if came.netloc != request.host:
        return None
    return came.path + (f"?{came.query}" if came.query else "")


def _database_away(error: Any) -> Response:
    reason = error.orig if isinstance(error, DBAPIError) else error
    log.warning("database.unavailable", error=type(reason).__name__)
    return answer_error(errors.Unavailable())
