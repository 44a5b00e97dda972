"""What is asked of every request before anything else: a host that is ours, and no secret in the address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import Flask, g, redirect, request
from werkzeug.sansio.utils import host_is_trusted

from portal.core.errors import Malformed
from portal.core.text import gettext
from portal.web.envelope import REQUEST_ID

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from portal.core.settings import Settings

MOST_GREETED = 100
# Under this name the express lane hands on what went wrong.
ERROR = "doorward.error"
# The whole of one, in any parameter: a shown prefix of ten characters may be searched for.
SECRET_IN_QUERY = re.compile(rb"(^|[=&])dwc?_[A-Za-z0-9_-]{20}")


def host_is_known(host: str, known: list[str]) -> bool:
    """Whether this Host header, in any case and with any port, is one of ours."""
    host = host.lower()
    return host_is_trusted(host, known) or re.sub(r"(?<=\]):\d{1,5}$", "", host) in known


def unwrapped(proxy: Any) -> Any:
    """The thing that Flask's proxy stands for: each look through one costs, and the hot routes take many."""
    return proxy._get_current_object()


class Welcome:
    """The hosts that are ours; the few spellings of a good one are remembered."""

    def __init__(self, hosts: list[str]) -> None:
        self.hosts = hosts
        self.greeted: set[str] = set()

    def __contains__(self, host: object) -> bool:
        """Whether this is the Host header of one of ours."""
        if host in self.greeted:
            return True
        if not isinstance(host, str) or not host_is_known(host, self.hosts):
            return False
        if len(self.greeted) < MOST_GREETED:
            self.greeted.add(host)
        return True


def register_requests(app: Flask) -> None:
    """Hook the above into the application."""
    now: Settings = app.extensions["settings"]
    led_to_https = now.secure_cookies and now.trusted_proxies > 0
    welcome = Welcome(now.hosts)

    @app.before_request
    def begin() -> BaseResponse | None:
        asked = unwrapped(request)
        environ = asked.environ
        g.request_id = environ.get(REQUEST_ID)
        if (error := environ.get(ERROR)) is not None:
            raise error
        path = asked.path
        if path.startswith("/health"):
            return None
        if asked.host not in welcome:
            raise Malformed(gettext("This site is not known by that host name."))
        if environ.get("QUERY_STRING") and path.startswith("/api/") and SECRET_IN_QUERY.search(asked.query_string):
            raise Malformed(gettext("A key or token in an address ends up in logs: send it in a header, and renew it."))
        if led_to_https and asked.scheme == "http" and asked.method in {"GET", "HEAD"}:
            return redirect(now.site_url + asked.full_path.rstrip("?"), 308)
        return None
