"""Sealing: what is sealed in one place opens there and nowhere else."""

from __future__ import annotations

from itertools import product

import pytest

from portal.core.crypto import BadSeal
from portal.core.ids import new_id
from portal.messages.sealing import (
    open_content,
    open_title,
    open_words,
    seal_content,
    seal_title,
    seal_words,
)
from portal.web.frame import Doorward

CONTENT = {"messages": [{"role": "user", "content": "a lantern"}], "extra": None}


def test_what_is_sealed_opens_in_its_place_only(app: Doorward) -> None:
    users, rows = (new_id(), new_id()), (new_id(), new_id())
    content = seal_content(users[0], rows[0], CONTENT)
    words = seal_words(users[0], rows[0], CONTENT)
    title = seal_title(users[0], rows[0], "a lantern")
    assert b"lantern" not in content + words.encode() + title
    assert open_content(users[0], rows[0], content) == open_words(users[0], rows[0], words) == CONTENT
    assert open_title(users[0], rows[0], title) == "a lantern"
    for user, row in list(product(users, rows))[1:]:
        with pytest.raises(BadSeal):
            open_content(user, row, content)
        with pytest.raises(BadSeal):
            open_words(user, row, words)
        with pytest.raises(BadSeal):
            open_title(user, row, title)
