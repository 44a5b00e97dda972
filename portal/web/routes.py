"""Every route with whom its door lets in: for `doorward routes`, and for the table in docs/access.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.web.gates import Audience

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True, slots=True)
class Route:
    """One address: with which methods, for which audience, and which capabilities open it (any of them; none: all)."""

    route: str
    methods: list[str]
    endpoint: str
    audience: str
    capabilities: list[str]


def list_routes(app: Flask) -> list[Route]:
    """All routes of the application by address. The methods are those that a view answers itself."""
    audiences: dict[str, Audience] = app.extensions["audiences"]
    return [
        Route(
            route=rule.rule,
            methods=sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}),
            endpoint=rule.endpoint,
            audience=str(audiences.get(rule.endpoint.split(".")[0], Audience.PUBLIC)),
            capabilities=[str(one) for one in getattr(app.view_functions[rule.endpoint], "__capabilities__", ())],
        )
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint))
    ]
