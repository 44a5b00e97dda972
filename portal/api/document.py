"""The OpenAPI document (3.1), made from the routes and from what each says of itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from portal.api.changes import VERSION
from portal.api.describing import Description, description_of
from portal.api.operations import HEADERS, address_of, operation_of
from portal.api.problem_shapes import ProblemShape, TokenErrorShape
from portal.core import settings
from portal.core.access import SCOPES
from portal.web.gates import Audience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.routing import Rule

PREFIXES = ("/api/v1/", "/.well-known/")
REF = "#/components/schemas/{name}"
ABOUT = """JSON in and out. Fields that are not known are refused. Errors are problem documents (RFC 9457); `type` of
each opens what its `code` means and what to do. Every answer carries `X-Request-Id`. A path that is not there answers
404, a method that a path does not have 405 with `Allow`; HEAD answers as GET without a body. New fields, statuses of
errors and operations may be added under v1; nothing is renamed or taken away."""
TAGS = {
    "auth": "Tokens (RFC 6749, 7009, 7662), registration, and who one is.",
    "me": "The account that the access token belongs to.",
    "users": "Accounts of users, and what belongs to them.",
    "plans": "What users are on: daily limit, credits, rate, prices.",
    "keys": "Is this API key good, and may it spend?",
    "usage": "Spending without a key, giving back, blocks in advance.",
    "message-logs": "What was said: pushed by services, searched and read.",
    "status-checks": "Signs of life of those who call.",
    "audit": "Who did what, when and from where.",
    "document": "This document.",
}


def make_document(app: Flask) -> dict[str, Any]:
    """The document of this application."""
    routes = list(described_routes(app))
    shapes = _shapes_of(description for _, _, description in routes)
    made, components = msgspec.json.schema_components(shapes, ref_template=REF)
    schemas = dict(zip(map(id, shapes), made, strict=True))
    audiences: dict[str, Audience] = app.extensions["audiences"]
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, description in routes:
        view = app.view_functions[rule.endpoint]
        is_public = audiences[rule.endpoint.partition(".")[0]] is Audience.PUBLIC
        operation = operation_of(rule, method, view, description, schemas, components, is_public=is_public)
        paths.setdefault(address_of(rule), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{settings.current().site_name} API", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "externalDocs": {"url": "/api/docs/errors", "description": "What each error means and what to do."},
        "tags": [{"name": name, "description": words} for name, words in _tags(app, routes).items()],
        "paths": paths,
        "components": {"schemas": components, "headers": HEADERS, "securitySchemes": security_schemes()},
    }


def described_routes(app: Flask) -> Iterator[tuple[Rule, str, Description]]:
    """Every route of the API that says what it is, with each method that its view answers itself."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        description = description_of(app.view_functions[rule.endpoint])
        if description is not None and rule.rule.startswith(PREFIXES):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, description


def tag_of(rule: Rule, description: Description) -> str:
    """Under which heading a route stands: what it says, else the first part of its address."""
    return description.tag or rule.rule.split("/")[3]


def security_schemes() -> dict[str, Any]:
    """How callers show who they are."""
    scopes = {name: "; ".join(sorted(one.sentence.rstrip(".") for one in held)) for name, held in SCOPES.items()}
    url = "/api/v1/auth/token"
    return {
        "clientToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "A service client: its static token `dwc_…`, or an access token of client_credentials.",
        },
        "clientCredentials": {
            "type": "oauth2",
            "description": "The same by RFC 6749: id and token of the client for an access token.",
            "flows": {"clientCredentials": {"tokenUrl": url, "scopes": scopes}},
        },
        "account": {
            "type": "oauth2",
            "description": "An account acting for itself, with the rights it has on the pages.",
            "flows": {"password": {"tokenUrl": url, "refreshUrl": url, "scopes": {"account": "All that one may."}}},
        },
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key `dw_…`, for one route."},
    }


def _shapes_of(descriptions: Iterator[Description]) -> list[Any]:
    """Every shape once, errors first."""
    found: list[Any] = [ProblemShape, TokenErrorShape]
    for said in descriptions:
        bodies = said.body if isinstance(said.body, list) else [said.body]
        for shape in (*said.answers.values(), *bodies, said.filters):
            if shape is not None and not isinstance(shape, dict) and not any(shape is one for one in found):
                found.append(shape)
    return found


def _tags(app: Flask, routes: list[tuple[Rule, str, Description]]) -> dict[str, str]:
    """What each heading is about; one that TAGS does not know by the module of its first route."""
    found: dict[str, str] = {}
    for rule, _, description in routes:
        name = tag_of(rule, description)
        module = sys.modules[app.view_functions[rule.endpoint].__module__]
        found.setdefault(name, TAGS.get(name) or (module.__doc__ or "").partition("\n")[0])
    return {name: found[name] for name in [*(one for one in TAGS if one in found), *sorted(found.keys() - TAGS)]}
