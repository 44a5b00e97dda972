"""/api/v1/users/{id}/prompts: what a user keeps, for clients with the scope."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response

from portal.api.describing import describes
from portal.api.prompt_shapes import NewPrompt, PromptChange, PromptPage, PromptQuery, PromptShape
from portal.api.prompts import drop_of, edit_of, keep_for, list_of, shown
from portal.core.access import Capability
from portal.prompts.service import prompt_of
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("user_prompts", __name__, url_prefix="/users/<uuid:user_id>/prompts")


@blueprint.get("")
@requires(Capability.PROMPT_READ)
@describes({200: PromptPage}, query=PromptQuery)
def index(user_id: UUID) -> Response:
    """List a user's prompts."""
    return list_of(user_id)


@blueprint.post("")
@requires(Capability.PROMPT_WRITE)
@describes(
    {201: PromptShape},
    body=NewPrompt,
    repeats=True,
    versioned=True,
    example={"title": "Greeting", "content": "Say hello."},
)
def keep(user_id: UUID) -> Response:
    """Keep a prompt for a user."""
    return keep_for(user_id)


@blueprint.get("/<uuid:prompt_id>")
@requires(Capability.PROMPT_READ)
@describes({200: PromptShape}, versioned=True)
def show(user_id: UUID, prompt_id: UUID) -> Response:
    """Show a prompt of a user."""
    return shown(prompt_of(actor(), user_id, prompt_id))


@blueprint.patch("/<uuid:prompt_id>")
@requires(Capability.PROMPT_WRITE)
@describes({200: PromptShape}, body=PromptChange, versioned=True, example={"response": "Hello!"})
def edit(user_id: UUID, prompt_id: UUID) -> Response:
    """Change a prompt of a user, such as by its response."""
    return edit_of(user_id, prompt_id)


@blueprint.delete("/<uuid:prompt_id>")
@requires(Capability.PROMPT_WRITE)
@describes({204: None}, versioned=True)
def drop(user_id: UUID, prompt_id: UUID) -> Response:
    """Delete a prompt of a user for good."""
    return drop_of(user_id, prompt_id)
