"""A rotation of the encryption key, killed anywhere with -9 and beside a server that goes on: nothing is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from portal.core import settings as current_settings
from portal.core.data_keys import DataKey, check_encryption_keys, held_keys
from portal.core.database import db
from portal.core.own_secrets import kept_keys
from portal.core.settings import Settings
from portal.messages.models import MessageLog, SealedContent
from portal.messages.sealing import open_content
from portal.web.frame import Doorward
from tests.core.test_data_keys import under
from tests.people import make_account
from tests.privacy.test_rotation import fill
from tests.programs import run_program
from tests.servers import Server, free_port

SEALING = {"encrypt_messages": True}


@pytest.mark.slow
@pytest.mark.parametrize("setting", [SEALING])
def test_killed_anywhere_it_goes_on_and_nothing_is_lost(app: Doorward, settings: Settings) -> None:
    look = fill()
    db.session.remove()
    given = {"DATABASE_URL": settings.database_url, "ENCRYPT_MESSAGES": "true"}
    server = Server(settings.data_dir, given, port=free_port())
    first = kept_keys(settings.data_dir)
    for left in (0, 1, 2):
        words = (str(left), "rotate", "encryption-key")
        dead = run_program(
            "tests.faults.dying_rotation", *words, environment=server.environment, folder=settings.data_dir
        )
        assert dead.returncode == -9, dead.stderr
        db.session.remove()
        look()
    keys = kept_keys(settings.data_dir)
    assert len(keys) == len(first) + 1, "one new key, however often it was begun"
    told = json.loads(server.command("rotate", "encryption-key"))
    assert set(told["unreadable"].values()) == {0}
    db.session.remove()
    under(app, keys[0])
    (settings.data_dir / "secrets.json").unlink()
    check_encryption_keys()
    look()


@pytest.mark.slow
@pytest.mark.parametrize("setting", [SEALING])
def test_everybody_goes_on_while_it_runs(
    app: Doorward, settings: Settings, machine: Callable[..., Any], tmp_path: Path
) -> None:
    users = [make_account(f"user-{number}") for number in range(6)]
    token = machine("logs:write").token
    db.session.remove()
    server = Server(
        settings.data_dir,
        {"DATABASE_URL": settings.database_url, "ENCRYPT_MESSAGES": "true", "FLUSH_INTERVAL_S": "1"},
    )
    server.start()
    sent = 0
    try:
        with ThreadPoolExecutor(1) as beside, server.caller(token) as caller:
            for _ in range(2):
                rotating = beside.submit(server.command, "rotate", "encryption-key")
                while not rotating.done():
                    user = users[sent % len(users)]
                    record = {"id": f"r{sent}", "username": user.username, "prompt": f"lantern {sent}"}
                    status, said = caller.post("/api/v1/message-logs", record)
                    assert (status, said["accepted"]) == (202, 1), said
                    sent += 1
                    time.sleep(0.01)
                rotating.result()
    finally:
        server.stop()
    keys = kept_keys(settings.data_dir)
    server.command("jobs", "run", "flush_message_logs")
    db.session.remove()
    assert len(set(db.session.scalars(select(DataKey.wrapped_by)))) == 1
    settings_now = current_settings.current()
    assert settings_now.encryption_keys[0] in keys
    under(app, keys[0])
    (settings.data_dir / "secrets.json").unlink()
    rows = db.session.execute(
        select(MessageLog.user_id, MessageLog.id, MessageLog.source_id, SealedContent.sealed).join(
            SealedContent, SealedContent.number == MessageLog.number
        )
    ).all()
    assert len(rows) == sent > 0
    with held_keys():
        for user_id, log_id, source_id, sealed in rows:
            assert open_content(user_id, log_id, sealed)["messages"][0]["content"] == f"lantern {source_id[1:]}"
