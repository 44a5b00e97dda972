"""A level that is lowered shuts what was open by it: words, the pages of a user, the session itself."""

from __future__ import annotations

import pytest

from portal.accounts.lifecycle import change_level
from portal.core.access import operator_actor
from portal.core.database import transaction
from portal.core.errors import Forbidden
from portal.core.ids import new_id
from portal.messages.opening import open_for_30_minutes
from portal.messages.reading import read_log
from portal.support.viewing import begin_viewing
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.people import acting, actor_named, make_account


def test_what_a_level_had_open_is_shut_with_the_level(app: Doorward) -> None:
    for name in ("tara", "alice"):
        make_account(name)
    alice, tara = actor_named("alice").id or new_id(), signed_in(app, "tara")
    with transaction():
        who = acting("tara", make_account("bob"))
        assert who.case_of is not None
        begin_viewing(who, who.case_of)
        open_for_30_minutes(who, who.case_of)
    user = who.case_of
    addresses = [f"/staff/users/{user}/view", f"/staff/users/{user}/logs", f"/staff/users/{alice}"]
    assert [tara.get(address).status for address in addresses] == [200, 200, 200]
    for level, wanted in ((2, [200, 200, 200]), (1, [403, 403, 200])):
        with transaction():
            change_level(operator_actor(), actor_named("tara").id or new_id(), level)
        assert tara.get("/staff").path == "/sign-in", "the session of the former level"
        tara = signed_in(app, "tara")
        assert [tara.get(address).status for address in addresses] == wanted, level
        with pytest.raises(Forbidden):
            read_log(actor_named("tara").because("still open"), new_id(), what="page", user_id=user)
    page = tara.get("/staff/history")
    assert page.status == 200
    assert "opened conversations of a user for reading" in page.text, "what was done stays known"
