"""/health and /metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portal import create_app
from portal.core.settings import load
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.visitor import Visitor


def test_a_living_server_is_live_and_ready(visitor: Visitor) -> None:
    assert visitor.client.get("/health/live").get_json() == {"status": "ok"}
    assert visitor.client.get("/health").get_json() == {"status": "ok"}
    ready = visitor.client.get("/health/ready").get_json()
    assert ready["status"] == "ok"
    assert ready["parts"]["database"]["state"] == "ok"
    assert {"database", "spool", "disk", "memory"} <= set(ready["parts"])


@pytest.mark.parametrize("address", ["sqlite:////nowhere/at/all.sqlite3", "postgresql://nobody@127.0.0.1:1/none"])
def test_without_its_database_it_is_live_and_not_ready(address: str, tmp_path: Path) -> None:
    given = {"log_level": "error", "db_timeout_s": 1}
    client = create_app(load({}, folder=tmp_path, data_dir=tmp_path, database_url=address, **given)).test_client()
    assert client.get("/health/live").status_code == 200
    assert client.get("/health").status_code == 503
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.get_json()["parts"]["database"]["state"] == "down"
    page = client.get("/setup/a-link")
    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) > 0
    assert client.get("/status").status_code == 200


def test_no_host_name_is_too_strange_for_a_health_check(visitor: Visitor) -> None:
    assert visitor.client.get("/health/live", headers={"Host": "10.0.0.7:8000"}).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_metrics_are_for_this_machine_where_no_token_is_set(address: str, visitor: Visitor) -> None:
    near = visitor.client.get("/metrics", environ_base={"REMOTE_ADDR": address})
    assert 'doorward_part_state{part="database"} 1.0' in near.get_data(as_text=True)
    for far in ("203.0.113.9", "10.0.0.1", ""):
        assert visitor.client.get("/metrics", environ_base={"REMOTE_ADDR": far}).status_code == 404


@pytest.mark.parametrize("setting", [{"metrics_token": "scrape me"}])
def test_with_a_token_metrics_want_it_from_everywhere(app: Doorward) -> None:
    client = app.test_client()
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "scrape me"}, {"Authorization": "Bearer "}):
        assert client.get("/metrics", headers=header).status_code == 404, header
    assert client.get("/metrics", headers={"Authorization": "Bearer scrape me"}).status_code == 200


def test_unknown_keys_are_counted_and_nothing_else_of_them(app: Doorward, machine: Callable[..., Machine]) -> None:
    def counted() -> float:
        lines = app.test_client().get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith("doorward_unknown_keys_total")).split()[1])

    before, gate = counted(), machine()
    for _ in range(3):
        assert gate.post("/keys/verify", {"key": "dw_nobodys"}).get_json()["code"] == "KEY_UNKNOWN"
    assert counted() == before + 3
