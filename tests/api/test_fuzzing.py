"""Whatever is asked of the API by whomever: no fault of ours, and no answer that the document does not tell of."""

from __future__ import annotations

import pytest

from portal.web.frame import Doorward
from tests.api.fuzzing import ask_everything

EXAMPLES = 5
# What is asked in seconds here is spread over hours elsewhere.
UNBOUND = {"api_rate_per_minute": 0, "api_address_rate_per_minute": 0}


@pytest.mark.slow
@pytest.mark.xdist_group("fuzzing")
@pytest.mark.parametrize("setting", [UNBOUND])
def test_every_answer_is_as_the_document_says(app: Doorward) -> None:
    came = ask_everything(app, EXAMPLES)
    assert came.total() > 500
    assert {200, 201, 401, 403, 404, 422} <= set(came), came
