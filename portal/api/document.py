"""The OpenAPI document (3.1), made from the routes and from what each says of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from portal.api.describing import Description, description_of
from portal.core import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.routing import Rule

PREFIX = "/api/v1"
REF = "#/components/schemas/{name}"


def make_document(app: Flask) -> dict[str, Any]:
    """The document of this application. The address of each operation is relative to /api/v1."""
    shapes: list[Any] = []
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, description in described_routes(app):
        where = re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule.rule.removeprefix(PREFIX))
        paths.setdefault(where, {})[method.lower()] = _operation(app, rule, description, shapes)
    _, components = msgspec.json.schema_components(shapes, ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": settings.current().site_name, "version": "1"},
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {"schemas": components},
    }


def described_routes(app: Flask) -> Iterator[tuple[Rule, str, Description]]:
    """Every route under /api/v1 that says what it is, with each method that its view answers itself."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        description = description_of(app.view_functions[rule.endpoint])
        if description is not None and rule.rule.startswith(PREFIX):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, description


def _operation(app: Flask, rule: Rule, description: Description, shapes: list[Any]) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    answers = {}
    for status, shape in description.answers.items():
        answer: dict[str, Any] = {"description": "Done"}
        if shape is not None:
            shapes.append(shape)
            answer["content"] = {description.gives: {"schema": {"$ref": REF.format(name=shape.__name__)}}}
        answers[str(status)] = answer
    return {
        "operationId": description.operation or rule.endpoint.partition(".")[2],
        "summary": (view.__doc__ or "").partition("\n")[0],
        "responses": answers,
    }
