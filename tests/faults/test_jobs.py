"""A job killed with -9: what it had done stands, the rest is done by the next run."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, insert, select

from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.usage.models import UsageDay, UsageMonth
from portal.usage.reset import close_finished_days
from portal.web.frame import Doorward
from tests.people import make_account
from tests.servers import Server, free_port

DAYS = 1200


def closed() -> int:
    """How many days are closed."""
    db.session.expire_all()
    return db.session.scalar(select(func.count()).where(UsageDay.closed_at.is_not(None))) or 0


@pytest.mark.slow
def test_a_reset_killed_in_the_middle_is_finished_and_nothing_is_folded_twice(
    app: Doorward, settings: Settings
) -> None:
    alice = make_account("alice")
    with transaction():
        rows = [{"user_id": alice.id, "day": date(2026, 1, 1) - timedelta(days=n), "used": 1} for n in range(DAYS)]
        db.session.execute(insert(UsageDay), rows)
    desk = Server(settings.data_dir, {"DATABASE_URL": settings.database_url}, port=free_port())
    command = desk.begin("jobs", "run", "reset_daily_limits")
    while closed() == 0:
        assert command.poll() is None, desk.output
    command.kill()
    command.wait()
    before = closed()
    assert 0 < before < DAYS
    assert [close_finished_days(), close_finished_days()] == [DAYS - before, 0]
    assert db.session.scalar(select(func.sum(UsageMonth.used))) == DAYS
