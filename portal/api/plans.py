"""/api/v1/plans: what plans grant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from flask import Blueprint, Response, request

from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.api.list_shapes import PageQuery
from portal.api.lists import asked_limit, check_filters
from portal.api.plan_shapes import NewPlan, PlanChange, PlanPage, PlanShape, plan_shape
from portal.api.repeating import answer_once
from portal.api.versions import wanted_version, with_version
from portal.core.access import Capability
from portal.usage.plans import PlanTerms, create_plan, delete_plan, edit_plan, plan_record, plans_page, terms_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

if TYPE_CHECKING:
    from portal.usage.models import Plan

blueprint = Blueprint("plans", __name__, url_prefix="/plans")


@blueprint.get("")
@requires(Capability.PLAN_READ, Capability.PLAN_CHANGE)
@describes({200: PlanPage}, query=PageQuery)
def index() -> Response:
    """List the plans."""
    check_filters()
    page = plans_page(actor(), request.args.get("cursor"), size=asked_limit())
    return shape_response(PlanPage(items=[plan_shape(plan) for plan in page.items], next_cursor=page.next_cursor))


@blueprint.post("")
@requires(Capability.PLAN_WRITE)
@describes(
    {201: PlanShape},
    body=NewPlan,
    repeats=True,
    versioned=True,
    example={"name": "research", "daily_limit": 500, "credits_per_month": 2000, "prices": {"large-1": 5}},
)
def create() -> Response:
    """Make a plan."""
    terms = PlanTerms(**msgspec.structs.asdict(read_body(NewPlan)))
    return with_version(answer_once(lambda: plan_shape(create_plan(actor(), terms)), 201), 1)


@blueprint.get("/<uuid:plan_id>")
@requires(Capability.PLAN_READ)
@describes({200: PlanShape}, versioned=True)
def show(plan_id: UUID) -> Response:
    """Show a plan."""
    return _answer(plan_record(actor(), plan_id))


@blueprint.patch("/<uuid:plan_id>")
@requires(Capability.PLAN_WRITE)
@describes({200: PlanShape}, body=PlanChange, versioned=True, example={"daily_limit": 600})
def edit(plan_id: UUID) -> Response:
    """Change what a plan grants; it holds from the next call on."""
    body, plan = read_body(PlanChange), _as_asked(plan_id)
    given = {name: said for name, said in msgspec.structs.asdict(body).items() if said is not msgspec.UNSET}
    return _answer(edit_plan(actor(), plan_id, replace(terms_of(plan), **given), version=plan.version))


@blueprint.delete("/<uuid:plan_id>")
@requires(Capability.PLAN_WRITE)
@describes({204: None}, versioned=True, errors=(409,))
def delete(plan_id: UUID) -> Response:
    """Remove a plan that nobody has and nobody is about to get."""
    _as_asked(plan_id)
    delete_plan(actor(), plan_id)
    return Response(status=204)


def _as_asked(plan_id: UUID) -> Plan:
    """The plan, if it is still in the version that If-Match names. Raises NotFound, Stale."""
    plan = plan_record(actor(), plan_id)
    wanted_version(plan.version)
    return plan


def _answer(plan: Plan) -> Response:
    return with_version(shape_response(plan_shape(plan)), plan.version)
