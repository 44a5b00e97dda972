"""Two servers over one database and one spool, as while one is replaced by the next; and a database others hold."""

from __future__ import annotations

import http.client
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext

import pytest
from sqlalchemy.engine import make_url

from portal.core.settings import Settings
from tests.faults.pushing import CLIENTS, Ledger, push, pushing, settle
from tests.faults.test_databases import held
from tests.servers import Server, free_port

PUSHES = 400
NAMES = [f"r-{number}" for number in range(PUSHES)]
# So often a balancer tries before it gives up.
TRIES = 400
# Answers between two steps of a rolling restart.
SOME = 40


def push_through(servers: list[Server], token: str, ledger: Ledger, name: str) -> None:
    """Push by whichever server takes it, each call on a connection of its own, as a balancer does."""
    with ledger.path.open("a") as file:
        for turn in range(TRIES):
            try:
                with servers[turn % 2].caller(token) as caller:
                    if push(caller, ledger, file, [name]):
                        return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
    raise AssertionError(f"nobody took {name}")


@pytest.mark.slow
def test_servers_restarted_one_after_the_other_take_everything(server: Server, token: str, ledger: Ledger) -> None:
    other = Server(server.data_dir, server.settings, port=free_port())
    servers, over = [server, other], threading.Event()

    def work(number: int) -> None:
        turn = 0
        while not over.is_set():
            push_through(servers, token, ledger, f"r{number}-{turn}")
            turn += 1
            time.sleep(0.02)  # a steady load, that does not pile up while a server starts

    for one in servers:
        one.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(work, number) for number in range(CLIENTS)]
            try:
                for one in servers:
                    ledger.wait_for_answers(SOME)
                    assert one.stop() == 0, one.output
                    ledger.wait_for_answers(SOME)
                    one.start()
            finally:
                over.set()
            for client in clients:
                client.result()
        sent, answered = ledger.read()
        assert sent == answered
        assert other.stop() == 0
        assert "Traceback" not in server.output
        settle(server, token, ledger)
    finally:
        for one in servers:
            one.kill()


@pytest.mark.slow
def test_a_database_that_others_hold_again_and_again(
    server: Server, token: str, ledger: Ledger, settings: Settings
) -> None:
    """Someone writes for longer than DB_TIMEOUT_S, and on SQLite someone reads all the while, so that the write-ahead
    log can only grow."""
    server.settings["DB_TIMEOUT_S"] = "1"
    server.start()
    address = make_url(settings.database_url)
    reads = address.get_backend_name() == "sqlite"
    with closing(sqlite3.connect(address.database or "")) if reads else nullcontext() as reader:
        if reader is not None:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM message_logs").fetchone() == (0,)
        with pushing(server, token, ledger, NAMES):
            for _ in range(2):
                with held(settings.database_url, "message_logs"):
                    time.sleep(1.5)
                time.sleep(0.3)
        if reader is not None:
            assert reader.execute("SELECT count(*) FROM message_logs").fetchone() == (0,)
    settle(server, token, ledger)
