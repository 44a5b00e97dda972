"""Saved prompts over the API: what me_prompts.py does with one's own, and user_prompts.py with those of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from flask import Response, request

from portal.api.bodies import read_body
from portal.api.lists import asked_limit, check_filters
from portal.api.prompt_shapes import NewPrompt, PromptChange, PromptPage, PromptShape
from portal.api.repeating import answer_once
from portal.api.versions import wanted_version, with_version
from portal.prompts.service import PromptWords, change_prompt, create_prompt, delete_prompt, list_prompts, prompt_of
from portal.web.identity import actor
from portal.web.problems import shape_response

if TYPE_CHECKING:
    from uuid import UUID

    from portal.prompts.models import Prompt


def list_of(user_id: UUID) -> Response:
    """One page of prompts. Raises Invalid, Malformed."""
    check_filters("q")
    search = request.args.get("q", "")[:200].replace("\0", "")
    page = list_prompts(actor(), user_id, search=search, cursor=request.args.get("cursor"), size=asked_limit())
    return shape_response(PromptPage(page.next_cursor, [_shape(prompt) for prompt in page.items]))


def keep_for(user_id: UUID) -> Response:
    """Keep one; the same call again gets the same answer again."""
    body = read_body(NewPrompt)
    said = PromptWords(body.title, body.content, body.response)
    answer = answer_once(lambda: _shape(create_prompt(actor(), user_id, said)), 201)
    return with_version(answer, 1)


def edit_of(user_id: UUID, prompt_id: UUID) -> Response:
    """Change what is given."""
    body, who = read_body(PromptChange), actor()
    there = prompt_of(who, user_id, prompt_id)
    said = PromptWords(
        title=there.title if body.title is msgspec.UNSET else body.title,
        content=there.content if body.content is msgspec.UNSET else body.content,
        response=there.response if body.response is msgspec.UNSET else body.response,
    )
    return shown(change_prompt(who, user_id, prompt_id, said, version=wanted_version(there.version)))


def drop_of(user_id: UUID, prompt_id: UUID) -> Response:
    """Delete one for good."""
    who = actor()
    there = prompt_of(who, user_id, prompt_id)
    delete_prompt(who, user_id, prompt_id, version=wanted_version(there.version))
    return Response(status=204)


def shown(prompt: Prompt) -> Response:
    """One prompt with its version."""
    return with_version(shape_response(_shape(prompt)), prompt.version)


def _shape(prompt: Prompt) -> PromptShape:
    return PromptShape(
        id=str(prompt.id),
        title=prompt.title,
        content=prompt.content,
        response=prompt.response,
        created_at=prompt.created_at.isoformat(),
        updated_at=prompt.updated_at.isoformat(),
    )
