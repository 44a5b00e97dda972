"""Each example of the document is sent as it stands, by somebody who may, and answers as it is shown."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from portal.web.frame import Doorward
from tests.api.fuzzing import World, example_of
from tests.documents.guide import REST, Guide

GUIDE = Guide("docs/api.md", set())


def caller_of(operation: dict[str, Any]) -> str:
    """Who may ask for this: a client where one may, else Alice about herself."""
    wanted = [name for one in operation["security"] for name in one]
    if not wanted:
        return "nobody"
    return "service" if "clientToken" in wanted else "alice"


def without_rest(shown: Any, got: Any) -> Any:
    """What is shown, with what came in the place of each value that is left out."""
    if isinstance(shown, dict) and isinstance(got, dict):
        return {name: without_rest(value, got.get(name)) for name, value in shown.items()}
    if isinstance(shown, list) and isinstance(got, list):
        return [without_rest(one, there) for one, there in zip(shown, got, strict=False)]
    return got if shown == REST and got is not None else shown


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what is shown is the same on both
def test_every_example_succeeds_and_is_answered_as_shown(app: Doorward) -> None:
    world = World(app)
    ran = 0
    for path, operations in orjson.loads(world.document())["paths"].items():
        for method, operation in operations.items():
            found = example_of(operation)
            if found is None:
                continue
            media_type, body = found
            name = caller_of(operation)
            answer = world.client.open(
                world.address(path, name),
                method=method.upper(),
                data=orjson.dumps(body),
                headers={"Content-Type": media_type, "X-Reason": "they asked", **world.credential(name)},
            )
            assert answer.status_code < 300, f"{operation['operationId']}: {answer.get_data()!r}"
            told: dict[str, dict[str, Any]] = operation["responses"][str(answer.status_code)].get("content", {})
            shown = [content["example"] for content in told.values() if "example" in content]
            if shown:
                wrong = GUIDE.differences(without_rest(shown[0], answer.json), answer.json)
                assert wrong == [], operation["operationId"]
            ran += 1
    assert ran >= 20
