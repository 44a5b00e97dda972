"""What every list of the API takes, and the frame of its answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from portal.api.lists import MOST, USUAL

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST, description="How many items at most.")]
Cursor = Annotated[str, msgspec.Meta(description="`next_cursor` of the page before.", min_length=1)]
Instant = Annotated[str, msgspec.Meta(description="ISO 8601, with a zone.", extra_json_schema={"format": "date-time"})]


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of every list; those of one list extend it."""

    limit: Limit = USUAL
    cursor: Cursor | msgspec.UnsetType = msgspec.UNSET


class PageShape(msgspec.Struct):
    """One page. The page of a resource extends it by `items`."""

    next_cursor: Annotated[str | None, msgspec.Meta(description="Of the next page; null on the last one.")]
