"""One operation of the document: its parameters, bodies, answers, errors, and who may."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from portal.api.problem_shapes import ProblemShape, TokenErrorShape
from portal.core.access import ADMIN, GRANTABLE, LEVELS, SCOPES, USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.routing import Rule

    from portal.api.describing import Description
    from portal.core.access import Capability

ACCOUNTS = USER | ADMIN | GRANTABLE | frozenset().union(*LEVELS.values())
CONVERTERS: dict[str, dict[str, Any]] = {"uuid": {"type": "string", "format": "uuid"}, "int": {"type": "integer"}}
PLACE = re.compile(r"<(?:([a-z]+)(?:\([^)]*\))?:)?([a-z_]+)>")
# Methods by which a record is changed as somebody saw it.
CHANGES = {"PATCH", "PUT", "DELETE"}
PROBLEM = "application/problem+json"
ERRORS = {
    400: "Malformed: not readable, or an address that holds a secret.",
    401: "No credential, or one that is not good.",
    403: "Known, but not allowed; with `REAUTH_REQUIRED` a fresh sign-in is wanted.",
    404: "Not there, or not for the caller to know of.",
    409: "The state of things does not permit it now.",
    412: "Changed since it was read.",
    413: "Larger than what is taken.",
    415: "Another media type than what is read here.",
    422: "Readable, but not valid; `errors` says where.",
    429: "Too often.",
    500: "The fault is ours; nothing was done.",
    503: "Not available just now; nothing was done.",
}
TEXT = {"schema": {"type": "string"}}
HEADERS: dict[str, Any] = {
    "X-Request-Id": {"description": "Names this request, here and in our logs.", "required": True, **TEXT},
    "ETag": {"description": "The version, for If-Match.", "required": True, **TEXT},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "RateLimit": {"description": "What is left of a limit (IETF draft 10); absent where there is none.", **TEXT},
    "RateLimit-Policy": {"description": "The limits that hold; absent where there is none.", **TEXT},
    "Idempotent-Replayed": {
        "description": "`true`: this is the answer of the first call.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"description": "How to show who one is.", "required": True, **TEXT},
}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "Idempotency-Key": (
        "Names this call: repeated within 24 hours it is answered again and not done again.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": ("The ETag of what was read: a record that has changed since is left alone.", {"type": "string"}),
    "X-Reason": ("Why, for the record. Wanted of admins and clients.", {"type": "string", "maxLength": 500}),
    "X-Case": ("Of staff: the number of their open case about this user.", {"type": "string"}),
}


def address_of(rule: Rule) -> str:
    """The address with its parameters in braces."""
    return PLACE.sub(r"{\2}", rule.rule)


def operation_of(
    rule: Rule,
    method: str,
    view: Callable[..., Any],
    said: Description,
    schemas: dict[int, Any],
    components: dict[str, Any],
    *,
    is_public: bool,
) -> dict[str, Any]:
    """What the document says of one route. `schemas` are the schemas of shapes by their identity."""
    capabilities: tuple[Capability, ...] = getattr(view, "__capabilities__", ())
    summary, _, more = (view.__doc__ or "").partition("\n")
    words = [" ".join(more.split()), _who_may(capabilities, said, is_public=is_public)]
    operation: dict[str, Any] = {
        "operationId": operation_id(rule, method, said),
        "tags": [said.tag or rule.rule.split("/")[3]],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(word for word in words if word),
        "security": _security(capabilities, said, is_public=is_public),
    }
    if capabilities:
        operation["x-capabilities"] = sorted(str(one) for one in capabilities)
    if parameters := _parameters(rule, method, said, schemas, components):
        operation["parameters"] = parameters
    if said.body is not None:
        operation["requestBody"] = _body(said, schemas)
    operation["responses"] = _responses(rule, method, said, schemas, is_public=is_public)
    return operation


def operation_id(rule: Rule, method: str, said: Description) -> str:
    """The name of an operation, kept for good: where it stands and what its view is called."""
    *_, place, name = rule.endpoint.split(".")
    several = len((rule.methods or set()) - {"HEAD", "OPTIONS"}) > 1
    return said.operation or f"{place.removeprefix('open_')}.{name}" + (f".{method.lower()}" if several else "")


def scopes_for(capabilities: tuple[Capability, ...]) -> list[str]:
    """The scopes of clients of which any one opens this."""
    return [name for name, held in SCOPES.items() if not held.isdisjoint(capabilities)]


def _who_may(capabilities: tuple[Capability, ...], said: Description, *, is_public: bool) -> str:
    if said.by_key:
        return "For an API key."
    if is_public:
        return "For everybody."
    parts = []
    if scopes := scopes_for(capabilities):
        parts.append("a client with the scope " + " or ".join(f"`{name}`" for name in scopes))
    if held := sorted({one for one in capabilities if one in ACCOUNTS}):
        parts.append("an account that may: " + " / ".join(one.sentence.rstrip(".") for one in held))
    return f"For {'; '.join(parts)}." if parts else "For whoever has a good token."


def _security(capabilities: tuple[Capability, ...], said: Description, *, is_public: bool) -> list[dict[str, Any]]:
    if said.by_key:
        return [{"apiKey": []}]
    if is_public:
        return []
    scopes = scopes_for(capabilities)
    found: list[dict[str, Any]] = [{"clientToken": []}] if scopes or not capabilities else []
    found += [{"clientCredentials": [scope]} for scope in scopes]
    if not capabilities or not ACCOUNTS.isdisjoint(capabilities):
        found.append({"account": ["account"]})
    return found


def _parameters(
    rule: Rule, method: str, said: Description, schemas: dict[int, Any], components: dict[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": CONVERTERS.get(kind, {"type": "string"})}
        for kind, name in PLACE.findall(rule.rule)
    ]
    if said.filters is not None:
        shape = schemas[id(said.filters)]
        shape = components[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
        wanted = shape.get("required", [])
        for name, schema in shape["properties"].items():
            given = {"name": name, "in": "query", "required": name in wanted, "schema": schema}
            found.append(given | ({"description": schema["description"]} if "description" in schema else {}))
    heeded = {
        "Idempotency-Key": said.repeats,
        "If-Match": said.versioned and method in CHANGES,
        "X-Reason": said.reason,
        "X-Case": said.case,
    }
    for name, (words, schema) in ASKED.items():
        if heeded[name]:
            found.append({"name": name, "in": "header", "required": False, "description": words, "schema": schema})
    return found


def _body(said: Description, schemas: dict[int, Any]) -> dict[str, Any]:
    shapes = said.body if isinstance(said.body, list) else [said.body]
    found = [shape if isinstance(shape, dict) else schemas[id(shape)] for shape in shapes]
    content: dict[str, Any] = {"schema": found[0] if len(found) == 1 else {"anyOf": found}}
    if said.example is not None:
        content["example"] = said.example
    # Lines of JSON are no value that a schema could speak of.
    lines = {"schema": {"type": "string", "description": "One object a line."}}
    return {
        "required": True,
        "content": {taken: lines if taken == "application/x-ndjson" else content for taken in said.takes},
    }


def _responses(
    rule: Rule, method: str, said: Description, schemas: dict[int, Any], *, is_public: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, shape in sorted(said.answers.items()):
        answer: dict[str, Any] = {"description": _words_of(shape, status), "headers": _headers(status, method, said)}
        if shape is not None:
            schema = shape if isinstance(shape, dict) else schemas[id(shape)]
            answer["content"] = {said.gives: {"schema": schema}}
            if said.shown is not None and status == min(said.answers):
                answer["content"][said.gives]["example"] = said.shown
        found[str(status)] = answer
    kind, told = ("application/json", TokenErrorShape) if said.oauth else (PROBLEM, ProblemShape)
    for status in sorted(_errors(rule, method, said, is_public=is_public) - said.answers.keys()):
        found[str(status)] = {
            "description": ERRORS.get(status, "Refused."),
            "headers": _headers(status, method, said),
            "content": {kind: {"schema": schemas[id(told)]}},
        }
    return found


def _errors(rule: Rule, method: str, said: Description, *, is_public: bool) -> set[int]:
    """The errors that follow from what a route is, and those it names."""
    found = {400, 429, 500, 503, *said.errors}
    if not is_public:
        found |= {401, 403}
    if rule.arguments:
        found.add(404)
    if said.body is not None:
        found |= {413} if said.oauth else {413, 415, 422}
    if said.filters is not None or said.reason:
        found.add(422)
    if said.case:
        found.add(403)
    if said.repeats:
        found |= {409, 413, 422}
    if said.versioned and method in CHANGES:
        found |= {409, 412}
    return found


def _headers(status: int, method: str, said: Description) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if status in {200, 201} and said.versioned and method != "DELETE":
        names.append("ETag")
    if status < 400 and said.repeats:
        names.append("Idempotent-Replayed")
    if status == 401:
        names.append("WWW-Authenticate")
    if status in {429, 503}:
        names.append("Retry-After")
    if status < 400 or status == 429:
        names += ["RateLimit", "RateLimit-Policy"]
    found: dict[str, Any] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return found | {name: {"description": words, **TEXT} for name, words in said.headers.items() if status < 400}


def _words_of(shape: Any, status: int) -> str:
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return (shape.__doc__ or "").partition("\n")[0]
    return "Nothing more to say." if status == 204 else "Done."
