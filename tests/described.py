"""Answers of the API held against its document: status, media type, headers and every field of the body."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson
from werkzeug.exceptions import HTTPException

from portal.api.describing import description_of
from portal.api.document import PREFIXES, make_document
from portal.api.operations import address_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

Operation = dict[str, Any]
_documents: list[dict[str, Any]] = []


def check_answer(app: Flask, answer: TestResponse) -> None:
    """Raise AssertionError for an answer that the document does not tell of."""
    asked = answer.request
    if not asked.path.startswith(PREFIXES) or asked.method in {"HEAD", "OPTIONS"}:
        return
    try:
        rule, _ = app.url_map.bind("localhost").match(asked.path, asked.method, return_rule=True)
    except HTTPException:
        return  # no operation: the error's own tests speak of it
    if description_of(app.view_functions[rule.endpoint]) is None:
        return  # planted by a test; of our own the structure test speaks
    document = strict_document(app)
    operation = document["paths"][address_of(rule)][asked.method.lower()]
    faults = faults_of(document, operation, answer)
    assert not faults, f"{asked.method} {asked.path} {answer.status_code}: {faults}\n{answer.get_data()[:1000]!r}"


def strict_document(app: Flask) -> dict[str, Any]:
    """The document, in which what it does not name is not there. All applications of a process have one."""
    if not _documents:
        with app.app_context():
            _documents.append(closed(json.loads(orjson.dumps(make_document(app)))))
    return _documents[0]


def closed(value: Any) -> Any:
    """Schemas of which each object has the members that it names and no others."""
    if isinstance(value, list):
        return [closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: closed(one) for name, one in value.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def faults_of(document: dict[str, Any], operation: Operation, answer: TestResponse) -> list[str]:
    """What of an answer is not as described."""
    told = operation["responses"].get(str(answer.status_code))
    if told is None:
        return ["this status is not declared"]
    faults = [
        f"the header {name} is missing"
        for name, header in told["headers"].items()
        if resolved(document, header).get("required") and name not in answer.headers
    ]
    content = told.get("content")
    if content is None:
        return faults + (["a body where none is declared"] if answer.get_data() else [])
    if answer.mimetype not in content:
        return [*faults, f"{answer.mimetype} is not declared"]
    try:
        body = json.loads(answer.get_data())
    except ValueError:
        return [*faults, "this is not JSON"]
    for error in validator_of(json.dumps(content[answer.mimetype]["schema"])).iter_errors(body):
        faults.append(f"/{'/'.join(map(str, error.instance_path))}: {error.message[:300]}")
    return faults


def resolved(document: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """A header, by reference or as it stands."""
    reference = header.get("$ref", "")
    made: dict[str, Any] = document["components"]["headers"][reference.rpartition("/")[2]] if reference else header
    return made


@lru_cache(maxsize=500)
def validator_of(schema: str) -> Any:
    """What judges bodies by this schema of the document."""
    whole = {"components": {"schemas": _documents[0]["components"]["schemas"]}, "allOf": [json.loads(schema)]}
    return jsonschema_rs.Draft202012Validator(whole)
