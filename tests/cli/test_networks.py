"""`doorward networks`: what holds, and the way back in."""

from __future__ import annotations

import json
from collections.abc import Callable

from click.testing import Result

from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.signin.models import SignInNetwork
from portal.signin.networks import list_networks, network_allows
from portal.web.frame import Doorward

Doorwards = Callable[..., Result]


def test_the_operator_takes_a_list_away_that_shuts_all_out(app: Doorward, doorward: Doorwards) -> None:
    with transaction():
        for kind in ("admin", "staff"):
            db.session.add(SignInNetwork(id=new_id(), kind=kind, network="192.0.2.0/24", created_at=clock.now()))
    shown = {row["kind"]: row for row in json.loads(doorward("networks", "list").output)}
    assert shown["admin"]["console"] == ["192.0.2.0/24"]
    assert shown["admin"]["holds"] == "console"
    cleared = doorward("networks", "clear", "--kind", "admin")
    assert json.loads(cleared.output) == {"kind": "admin", "removed": 1}
    db.session.rollback()
    db.session.expire_all()
    assert network_allows("admin", "198.51.100.9")
    assert not network_allows("staff", "198.51.100.9")
    assert [len(one.listed) for one in list_networks(operator_actor())] == [1, 0]


def test_a_kind_that_has_no_list_is_refused(doorward: Doorwards) -> None:
    assert doorward("networks", "clear", "--kind", "user").exit_code == 2
