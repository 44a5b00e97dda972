"""A person with a browser without scripts: follows links, fills forms, and inspects every page it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from tests.inspection import faults_of, parse
from tests.people import PASSWORD

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

POLICY = "default-src 'self'; script-src 'self'"


@dataclass
class SeenPage:
    """An answer, as a person sees it."""

    response: TestResponse
    path: str

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status_code

    @property
    def html(self) -> str:
        """The markup."""
        return self.response.get_data(as_text=True)

    @property
    def bare(self) -> str:
        """The markup without what differs from answer to answer: the token against forgery and the request's id."""
        html = re.sub(r'(name="csrf_token"[^>]*value=")[^"]+', r"\1T", self.html)
        return html.replace(self.response.headers["X-Request-Id"], "ID")

    @property
    def tree(self) -> Element:
        """The page as a tree."""
        return parse(self.html)

    @property
    def text(self) -> str:
        """All words of the page, with single blanks."""
        return " ".join("".join(self.tree.itertext()).split())

    @property
    def title(self) -> str:
        """The h1."""
        return " ".join("".join(next(self.tree.iter("h1")).itertext()).split())

    def forms(self) -> list[Element]:
        """All forms that post."""
        return [form for form in self.tree.iter("form") if (form.get("method") or "").lower() == "post"]

    def form_to(self, action: str) -> Element:
        """The form that posts to this path ("" is the page itself)."""
        for form in self.forms():
            if (form.get("action") or self.path).split("?")[0] == (action or self.path):
                return form
        raise AssertionError(
            f"no form to {action or self.path} on {self.path}: {[f.get('action') for f in self.forms()]}"
        )

    def links(self) -> list[str]:
        """Where its links lead."""
        return [link.get("href") or "" for link in self.tree.iter("a")]

    def code(self, name: str) -> str:
        """The words of the element with this id."""
        for element in self.tree.iter():
            if element.get("id") == name:
                return (element.get("value") or "".join(element.itertext())).strip()
        raise AssertionError(f"nothing has the id {name}")


class Visitor:
    """One browser with its cookies."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, *, follow: bool = True, **kwargs: Any) -> SeenPage:
        """Open a page."""
        return self._seen(self.client.get(path, follow_redirects=follow, **kwargs))

    def send(
        self, page: SeenPage, fields: dict[str, Any] | None = None, *, to: str = "", follow: bool = True
    ) -> SeenPage:
        """Fill the form of this page that posts to `to` and send it."""
        form = page.form_to(to)
        data = {**_defaults(form), **(fields or {})}
        path = form.get("action") or page.path
        return self._seen(self.client.post(path, data=data, follow_redirects=follow))

    def post(self, path: str, data: dict[str, Any] | None = None, *, follow: bool = False) -> SeenPage:
        """Post without a form, as an attacker does."""
        return self._seen(self.client.post(path, data=data or {}, follow_redirects=follow))

    def sign_in(self, name: str, password: str = PASSWORD) -> SeenPage:
        """Sign in through the form."""
        return self.send(self.get("/sign-in"), {"name": name, "password": password})

    def prove_again(self, password: str = PASSWORD) -> SeenPage:
        """Show again who one is, where that was too long ago."""
        page = self.get("/account/reauth")
        return self.send(page, {"password": password}) if page.path == "/account/reauth" else page

    def sign_out(self) -> SeenPage:
        """Sign out through the form that every page of somebody signed in has."""
        return self.send(self.get("/account"), to="/sign-out")

    def _seen(self, response: TestResponse) -> SeenPage:
        page = SeenPage(response, response.request.path)
        if response.mimetype == "text/html" and response.status_code not in {301, 302, 303, 307, 308}:
            assert response.status_code < 500 or response.status_code == 503, page.html[:2000]
            faults = faults_of(page.html)
            assert not faults, f"{page.path}: {faults}"
            assert response.headers["Content-Security-Policy"].startswith(POLICY)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
        return page


def _defaults(form: Element) -> dict[str, Any]:
    """What the form would send untouched."""
    data: dict[str, Any] = {}
    for field in form.iter():
        name = field.get("name")
        if not name:
            continue
        if field.tag == "input":
            if field.get("type") in {"checkbox", "radio"} and field.get("checked") is None:
                continue
            if field.get("type") == "checkbox":
                data.setdefault(name, []).append(field.get("value") or "on")
            else:
                data[name] = field.get("value") or ""
        elif field.tag == "textarea":
            data[name] = "".join(field.itertext())
        elif field.tag == "select":
            options = list(field.iter("option"))
            chosen = [option for option in options if option.get("selected") is not None]
            if field.get("multiple") is not None:
                data[name] = [option.get("value") or "" for option in chosen]
            elif options:
                data[name] = (chosen or options)[0].get("value") or ""
    return data
