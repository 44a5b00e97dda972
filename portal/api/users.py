"""/api/v1/users: what belongs to a user. Now: saved prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from flask import Blueprint, Response, request

from portal.api.bodies import read_body
from portal.api.describing import describes
from portal.api.lists import asked_limit, check_filters
from portal.api.prompt_shapes import NewPrompt, PromptChange, PromptPage, PromptQuery, PromptShape
from portal.api.repeating import answer_once
from portal.api.versions import wanted_version, with_version
from portal.core.access import Capability
from portal.prompts.service import PromptWords, change_prompt, create_prompt, delete_prompt, list_prompts, prompt_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import json_response

if TYPE_CHECKING:
    from portal.prompts.models import Prompt

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("/<uuid:user_id>/prompts")
@requires(Capability.PROMPT_READ)
@describes({200: PromptPage}, query=PromptQuery)
def prompts(user_id: UUID) -> Response:
    """Saved prompts, changed last first."""
    check_filters("q")
    search = request.args.get("q", "")[:200].replace("\0", "")
    page = list_prompts(actor(), user_id, search=search, cursor=request.args.get("cursor"), size=asked_limit())
    return json_response({"items": [_item(prompt) for prompt in page.items], "next_cursor": page.next_cursor})


@blueprint.post("/<uuid:user_id>/prompts")
@requires(Capability.PROMPT_WRITE)
@describes(
    {201: PromptShape},
    body=NewPrompt,
    repeats=True,
    versioned=True,
    example={"title": "Greeting", "content": "Say hello."},
    shown={"id": "…", "title": "Greeting", "content": "Say hello.", "response": None, "…": "…"},
)
def keep_prompt(user_id: UUID) -> Response:
    """Keep a prompt; the same call again gets the same answer again."""
    body = read_body(NewPrompt)
    said = PromptWords(body.title, body.content, body.response)
    answer = answer_once(lambda: _item(create_prompt(actor(), user_id, said)), 201)
    return with_version(answer, 1)


@blueprint.get("/<uuid:user_id>/prompts/<uuid:prompt_id>")
@requires(Capability.PROMPT_READ)
@describes({200: PromptShape}, versioned=True)
def prompt(user_id: UUID, prompt_id: UUID) -> Response:
    """One saved prompt."""
    return _shown(prompt_of(actor(), user_id, prompt_id))


@blueprint.patch("/<uuid:user_id>/prompts/<uuid:prompt_id>")
@requires(Capability.PROMPT_WRITE)
@describes({200: PromptShape}, body=PromptChange, versioned=True, example={"response": "Hello!"})
def edit_prompt(user_id: UUID, prompt_id: UUID) -> Response:
    """Change a prompt, such as by its response."""
    body, who = read_body(PromptChange), actor()
    there = prompt_of(who, user_id, prompt_id)
    said = PromptWords(
        title=there.title if body.title is msgspec.UNSET else body.title,
        content=there.content if body.content is msgspec.UNSET else body.content,
        response=there.response if body.response is msgspec.UNSET else body.response,
    )
    return _shown(change_prompt(who, user_id, prompt_id, said, version=wanted_version(there.version)))


@blueprint.delete("/<uuid:user_id>/prompts/<uuid:prompt_id>")
@requires(Capability.PROMPT_WRITE)
@describes({204: None}, versioned=True)
def drop_prompt(user_id: UUID, prompt_id: UUID) -> Response:
    """Delete a prompt for good."""
    who = actor()
    there = prompt_of(who, user_id, prompt_id)
    delete_prompt(who, user_id, prompt_id, version=wanted_version(there.version))
    return Response(status=204)


def _shown(prompt: Prompt) -> Response:
    return with_version(json_response(_item(prompt)), prompt.version)


def _item(prompt: Prompt) -> dict[str, Any]:
    return {
        "id": str(prompt.id),
        "title": prompt.title,
        "content": prompt.content,
        "response": prompt.response,
        "created_at": prompt.created_at.isoformat(),
        "updated_at": prompt.updated_at.isoformat(),
    }
