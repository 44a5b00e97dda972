from tests.usage.test_reset import *
def test_x(machine, key_of, app):
    be_at("2031-05-10T11:00:00+00:00")
    alice = make_account("alice", time_zone="Pacific/Auckland")
    gate, key = machine(), key_of(alice)
    gate.post("/keys/verify", {"key": key, "cost": {"conversations": 3}})
    from sqlalchemy import text
    print(db.session.execute(text("select * from usage_days")).all(), db.session.execute(text("select * from usage_months")).all())
    be_at("2031-05-10T13:00:00+00:00")
    print(close_finished_days())
    print(db.session.execute(text("select * from usage_days")).all(), db.session.execute(text("select * from usage_months")).all())
    assert 0
