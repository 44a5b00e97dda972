"""/api/v1/me/prompts: what one keeps."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response

from portal.api.describing import describes
from portal.api.own import own_id
from portal.api.prompt_shapes import NewPrompt, PromptChange, PromptPage, PromptQuery, PromptShape
from portal.api.prompts import drop_of, edit_of, keep_for, list_of, shown
from portal.core.access import Capability
from portal.prompts.service import prompt_of
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("me_prompts", __name__, url_prefix="/me/prompts")


@blueprint.get("")
@requires(Capability.OWN_PROMPTS)
@describes({200: PromptPage}, query=PromptQuery)
def index() -> Response:
    """List one's own prompts."""
    return list_of(own_id())


@blueprint.post("")
@requires(Capability.OWN_PROMPTS)
@describes(
    {201: PromptShape},
    body=NewPrompt,
    repeats=True,
    versioned=True,
    example={"title": "Greeting", "content": "Say hello."},
)
def keep() -> Response:
    """Keep a prompt of one's own."""
    return keep_for(own_id())


@blueprint.get("/<uuid:prompt_id>")
@requires(Capability.OWN_PROMPTS)
@describes({200: PromptShape}, versioned=True)
def show(prompt_id: UUID) -> Response:
    """Show a prompt of one's own."""
    return shown(prompt_of(actor(), own_id(), prompt_id))


@blueprint.patch("/<uuid:prompt_id>")
@requires(Capability.OWN_PROMPTS)
@describes({200: PromptShape}, body=PromptChange, versioned=True, example={"response": "Hello!"})
def edit(prompt_id: UUID) -> Response:
    """Change a prompt of one's own."""
    return edit_of(own_id(), prompt_id)


@blueprint.delete("/<uuid:prompt_id>")
@requires(Capability.OWN_PROMPTS)
@describes({204: None}, versioned=True)
def drop(prompt_id: UUID) -> Response:
    """Delete a prompt of one's own for good."""
    return drop_of(own_id(), prompt_id)
