"""Two hundred requests of each operation, as everybody, on both databases; see tests/api/fuzzing.py."""

from __future__ import annotations

import pytest

from portal.web.frame import Doorward
from tests.api.fuzzing import ask_everything
from tests.api.test_fuzzing import UNBOUND

EXAMPLES = 200


@pytest.mark.parametrize("setting", [UNBOUND])
def test_every_answer_is_as_the_document_says(app: Doorward) -> None:
    assert ask_everything(app, EXAMPLES).total() > 10_000
