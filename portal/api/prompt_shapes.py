"""Saved prompts as the API takes and tells them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from portal.api.list_shapes import PageQuery, PageShape


class NewPrompt(msgspec.Struct, forbid_unknown_fields=True):
    """A prompt to keep."""

    title: str
    content: str
    response: str | None = None


class PromptChange(msgspec.Struct, forbid_unknown_fields=True):
    """What of a prompt shall change; what is left out stays."""

    title: str | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET
    response: str | msgspec.UnsetType | None = msgspec.UNSET


class PromptQuery(PageQuery):
    """Which prompts."""

    q: Annotated[str, msgspec.Meta(description="Words in the title, the content or the response.")] | (
        msgspec.UnsetType
    ) = msgspec.UNSET


class PromptShape(msgspec.Struct):
    """A saved prompt."""

    id: str
    title: str
    content: str
    response: str | None
    created_at: str
    updated_at: str


class PromptPage(PageShape):
    """Prompts, changed last first."""

    items: list[PromptShape]
