"""/admin/factors/<id>: the second factors of somebody below are taken away, from the record and back to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from portal.core import clock
from portal.core.access import RECENTLY_PROVEN
from tests.signin.phones import account_of, make_enrolled
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

RECORDS = {"alice": "/admin/users/{}", "tess": "/admin/staff/{}", "max": "/admin/admins/{}"}


@pytest.mark.parametrize("name", RECORDS)
def test_from_the_record_and_back(name: str, app: Doorward, person: Callable[..., Visitor]) -> None:
    make_enrolled(name)
    record = RECORDS[name].format(account_of(name).id)
    ada = person("ada")
    link = next(link for link in ada.get(record).links() if link.startswith("/admin/factors/"))
    page = ada.get(link)
    assert f"Reset the second factor of {name}" in page.text
    without = ada.send(page, {"reason": ""})
    assert without.status == 422
    assert account_of(name).has_factor
    done = ada.send(page, {"reason": "lost the phone"})
    assert done.path == record
    assert "The second factors are gone" in done.text
    assert not account_of(name).has_factor
    assert not [link for link in ada.get(record).links() if link.startswith("/admin/factors/")]
    assert "has no second factor" in ada.get(link).text
    visitor = Visitor(app.test_client())
    assert visitor.sign_in(name).path != "/sign-in/factor"


def test_a_fresh_proof_is_wanted(person: Callable[..., Visitor]) -> None:
    make_enrolled("tess")
    ada = person("ada")
    clock.shift(RECENTLY_PROVEN + timedelta(seconds=1))
    assert ada.get(f"/admin/factors/{account_of('tess').id}").path == "/account/reauth"


def test_of_an_equal_or_of_oneself_there_is_no_such_page(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    make_enrolled("eve", permissions=sorted(account_of("ada").permissions))  # type: ignore[attr-defined]  # an admin
    for name in ("eve", "ada"):
        assert ada.get(f"/admin/factors/{account_of(name).id}").status == 403
        assert "Reset second factor" not in ada.get(f"/admin/admins/{account_of(name).id}").text
    assert account_of("eve").has_factor
