"""Every route of the API tells the document what it takes and gives; the names of operations stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response

from portal.api.describing import describes, description_of
from portal.api.document import PREFIXES, TAGS, described_routes, make_document, tag_of
from portal.api.operations import operation_id
from portal.api.problem_shapes import CODES
from portal.core.errors import PortalError
from portal.pages.public.api_docs import REMEDIES
from portal.web.gates import Audience, guard

if TYPE_CHECKING:
    from portal.web.frame import Doorward

# One a line. A new operation is added here; one that is missing was renamed or taken away, which breaks callers.
NAMES = Path(__file__).with_name("operations.txt")


def undescribed(app: Flask) -> list[str]:
    """Each route of the API that says nothing of itself, or not what it is about."""
    faults = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(PREFIXES):
            view = app.view_functions[rule.endpoint]
            if description_of(view) is None:
                faults.append(f"{rule.rule} ({rule.endpoint}) is not described")
            elif not (view.__doc__ or "").strip():
                faults.append(f"{rule.rule} ({rule.endpoint}) has no summary")
    return faults


def test_every_route_is_described(site: Doorward) -> None:
    assert undescribed(site) == []


def test_one_that_is_not_is_reported() -> None:
    app = Flask("planted")
    blueprint = Blueprint("planted", "planted", url_prefix="/api/v1")
    guard(blueprint, Audience.PUBLIC)

    @blueprint.get("/silent")
    def silent() -> Response:
        """Says nothing."""
        return Response()

    @blueprint.get("/nameless")
    @describes({200: None})
    def nameless() -> Response:
        return Response()

    app.register_blueprint(blueprint)
    assert sorted(undescribed(app)) == [
        "/api/v1/nameless (planted.nameless) has no summary",
        "/api/v1/silent (planted.silent) is not described",
    ]


def test_names_of_operations_are_kept_and_told_once(site: Doorward) -> None:
    found = [operation_id(*route) for route in described_routes(site)]
    assert sorted(found) == sorted(set(found))
    assert sorted(found) == NAMES.read_text().split(), "a new one is added to the list; none may be renamed"


def test_every_heading_says_what_it_is_about(site: Doorward) -> None:
    assert {tag_of(rule, said) for rule, _, said in described_routes(site)} <= set(TAGS)
    with site.app_context():
        document = make_document(site)
    assert all(tag["description"] for tag in document["tags"])


def test_every_code_of_an_error_is_told() -> None:
    def kinds(kind: type[PortalError]) -> set[str]:
        return {kind.code}.union(*map(kinds, kind.__subclasses__()))

    assert kinds(PortalError) == set(CODES) == set(REMEDIES)
