"""From cookie or token to Actor: the only place that knows how somebody came in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, after_this_request, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user

from portal.accounts.models import Account, Kind, StaffMember
from portal.clients.service import TOKEN_PREFIX, KnownClient, client_of_token, kept_client
from portal.core import access, settings
from portal.core.actor import Actor, ActorKind, nobody
from portal.core.errors import TokenNeeded
from portal.core.text import gettext
from portal.signin.devices import KEPT_FOR, Browser
from portal.signin.grants import actor_of_access_token, note_token_use
from portal.signin.networks import network_allows
from portal.signin.sessions import actor_of, note_use, session_of, sign_out
from portal.signin.steps import Step
from portal.web.avatars import initials_of, palette_of
from portal.web.envelope import REQUEST_ID
from portal.web.requests import unwrapped

if TYPE_CHECKING:
    from uuid import UUID
    from wsgiref.types import WSGIEnvironment

    from flask import Response

    from portal.core.hot import Premise
    from portal.signin.entry import Entered
    from portal.signin.models import SignInSession
    from portal.tokens.models import TokenFamily

COOKIE_KEY = "sid"
HOMES = {Kind.USER.value: "/account", Kind.STAFF.value: "/staff", Kind.ADMIN.value: "/admin"}


class PagesOnlySessions(SecureCookieSessionInterface):
    """Flask's signed cookie, opened for pages only: the machine door never reads or writes one."""

    def open_session(self, app: Flask, request: Any) -> Any:
        """The session of a page; none under /api/, /health and /metrics."""
        if request.path.startswith(("/api/", "/health", "/metrics", "/static/", "/.well-known/")):
            return self.make_null_session(app)
        return super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:
        """`__Host-` where people come over HTTPS."""
        return "__Host-doorward" if app.config["SESSION_COOKIE_SECURE"] else "doorward"


@dataclass(frozen=True)
class Viewer(UserMixin):  # type: ignore[misc]  # flask-login is untyped
    """The signed-in person, as Flask-Login and the templates see them."""

    account: Account
    session: SignInSession

    def get_id(self) -> str:
        """The account's id."""
        return str(self.account.id)

    @property
    def display_name(self) -> str:
        """What to call them."""
        return self.account.shown_name

    @property
    def username(self) -> str:
        """Their username."""
        return self.account.username

    @property
    def time_zone(self) -> str:
        """Their zone, in which times are shown."""
        return self.account.time_zone

    @property
    def kind_label(self) -> str:
        """What they are, in words."""
        if isinstance(self.account, StaffMember):
            return gettext("Support, level %(level)s", level=self.account.level)
        return gettext("Admin") if self.account.kind == Kind.ADMIN else gettext("User")

    @property
    def initials(self) -> str:
        """For the avatar."""
        return initials_of(self.display_name)

    @property
    def palette(self) -> str:
        """For the avatar."""
        return palette_of(self.username)

    @property
    def picture(self) -> UUID | None:
        """Their picture, if they sent one."""
        return self.account.picture_id

    @property
    def home_url(self) -> str:
        """Where this kind of account lands."""
        return HOMES[self.account.kind]


def register_identity(app: Flask) -> None:
    """Look up the session of a page when it is first asked for."""
    app.session_interface = PagesOnlySessions()
    manager = LoginManager()
    manager.session_protection = None
    manager.init_app(app)

    @manager.request_loader  # type: ignore[untyped-decorator]  # flask-login is untyped
    def load(_request: object) -> Viewer | None:
        secret = session.get(COOKIE_KEY)
        found = session_of(secret) if isinstance(secret, str) else None
        if found is None or not network_allows(found[1].kind, peer_address()):
            return None
        return Viewer(account=found[1], session=found[0])


def viewer() -> Viewer | None:
    """The signed-in person, or None."""
    if g.get("no_viewer"):
        return None
    person = cast("Viewer", current_user)
    return person if person.is_authenticated else None


def actor() -> Actor:
    """Who acts in this request, made once."""
    context = unwrapped(g)
    if "actor" not in context:
        person = viewer()
        if person is None:
            g.actor = nobody(peer_address(), g.get("request_id"))
        else:
            if "poll" not in request.args:  # a page that refreshes itself is not a person at work
                g.used = person
            about = {"address": peer_address(), "request_id": g.get("request_id")}
            g.actor = actor_of(person.account, session=person.session, **about)
    made: Actor = context.actor
    return made


def peer_address() -> str | None:
    """Where the request comes from, in the one form of that IP address; None when what a proxy told is none.

    Ports are left out, as some proxies add them, and IPv4 inside IPv6 counts as IPv4: one visitor has one address.
    """
    return _address_of(request.remote_addr or "")


@lru_cache(maxsize=4096)
def _address_of(told: str) -> str | None:
    if told.startswith("["):
        told = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        told = told.partition(":")[0]
    try:
        address = ip_address(told.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def note_visit() -> None:
    """Write down that the session, or the family of the token, was used. After the view, which must find no transaction
    open: it may hash."""
    person: Viewer | None = g.pop("used", None)
    if person is not None:
        note_use(person.session, person.account)
    used: tuple[TokenFamily, Account] | None = g.pop("used_family", None)
    if used is not None:
        note_token_use(used[0])


def browser() -> Browser:
    """The browser of this request, by what it calls itself and the secret it keeps."""
    return Browser(request.headers.get("User-Agent", "")[:200], request.cookies.get(device_cookie()))


def device_cookie() -> str:
    """The name of the cookie by which a browser is known again."""
    return "__Host-doorward-device" if settings.current().secure_cookies else "doorward-device"


def enter_session(entered: Entered) -> None:
    """Start a browser's session afresh: nothing of before opens anything, the CSRF token neither.

    A session that the cookie still held ends: a copy of it made before must not stay good.
    """
    if (earlier := session.get(COOKIE_KEY)) and isinstance(earlier, str):
        sign_out(actor(), earlier)
    renew_cookie(entered.secret)
    _keep_device(entered.device_secret)


def renew_cookie(secret: str | None) -> None:
    """Put another secret of a session into the cookie, and begin its CSRF token anew; None leaves all as it is.

    Of before only this is kept: a trip to a provider, for who comes back from one may have to sign in here to go on;
    and an app that is being set up, for who is asked meanwhile who they are has scanned its picture already.
    """
    if secret is not None:
        kept = {step: kept_step(step) for step in (Step.PROVIDER, Step.AUTHENTICATOR)}
        session.clear()
        g.pop("csrf_token", None)  # Flask-WTF keeps it there too, for the forms of the page that answers
        session[COOKIE_KEY] = secret
        session.permanent = True
        for step, begun in kept.items():
            if begun is not None:
                keep_step(step, begun)


def _keep_device(secret: str) -> None:
    secure = settings.current().secure_cookies

    @after_this_request
    def keep(response: Response) -> Response:
        kept_for = int(KEPT_FOR.total_seconds())
        response.set_cookie(
            device_cookie(), secret, max_age=kept_for, secure=secure, httponly=True, samesite="Lax", path="/"
        )
        return response


def keep_step(step: Step, secret: str) -> None:
    """Remember in the browser's cookie what it has begun."""
    session[f"step.{step.value}"] = secret


def kept_step(step: Step) -> str | None:
    """The secret of what this browser has begun, if it has."""
    secret = session.get(f"step.{step.value}")
    return secret if isinstance(secret, str) else None


def drop_step(step: Step) -> None:
    """Forget what the browser had begun."""
    session.pop(f"step.{step.value}", None)


def leave_session() -> str | None:
    """Empty the browser's session; answers the secret it held."""
    secret = session.get(COOKIE_KEY)
    session.clear()
    return secret if isinstance(secret, str) else None


def machine_actor() -> Actor:
    """Who comes with this request's bearer token: a service client, or an account by an access token.

    Raises TokenNeeded.
    """
    environ = unwrapped(request).environ
    token = _bearer_of(environ)
    if token.startswith(TOKEN_PREFIX):
        made = client_in(environ)
    else:
        address = _address_of(environ.get("REMOTE_ADDR") or "")
        # With the account, which the session would otherwise forget and read again.
        made, g.used_family = actor_of_access_token(token, address, environ.get(REQUEST_ID)) or (None, None)
    if made is None:
        raise TokenNeeded
    return made


def client_in(environ: WSGIEnvironment) -> Actor | None:
    """The service client of the bearer token in a WSGI request, if there is one."""
    client = client_of_token(_bearer_of(environ))
    return None if client is None else _actor_of_client(client, environ)


def kept_client_in(environ: WSGIEnvironment) -> tuple[Actor, Premise] | None:
    """The service client of the bearer token as it was a while ago, and the premise that it still is."""
    kept = kept_client(_bearer_of(environ))
    return None if kept is None else (_actor_of_client(kept[0], environ), kept[1])


def _bearer_of(environ: WSGIEnvironment) -> str:
    kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip(" ") if kind.lower() == "bearer" else ""


def _actor_of_client(client: KnownClient, environ: WSGIEnvironment) -> Actor:
    return Actor(
        kind=ActorKind.CLIENT,
        name=client.name,
        id=client.id,
        capabilities=access.of_scopes(client.scopes),
        credential="client token",
        address=_address_of(environ.get("REMOTE_ADDR") or ""),
        request_id=environ.get(REQUEST_ID),
        rate=client.rate,
    )
