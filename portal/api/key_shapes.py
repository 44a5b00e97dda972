"""API keys as the API takes and tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from portal.api.list_shapes import Instant, PageQuery, PageShape
from portal.core.errors import Invalid
from portal.core.masks import mask_address
from portal.core.text import gettext
from portal.keys.rotation import MOST_OVERLAP_S
from portal.keys.terms import MOST_LIMIT, MOST_NAME, MOST_NETWORKS, MOST_SCOPES, KeyTerms, terms_of

if TYPE_CHECKING:
    from portal.keys.models import ApiKey
    from portal.keys.service import NewKey

# Bounds are for the document: the rules of keys say what is wrong, in the words of the pages.
Scopes = Annotated[
    list[str], msgspec.Meta(description="None: good for any.", extra_json_schema={"maxItems": MOST_SCOPES})
]
Networks = Annotated[
    list[str], msgspec.Meta(description="CIDR. None: from anywhere.", extra_json_schema={"maxItems": MOST_NETWORKS})
]
Limit = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": MOST_LIMIT})]
Overlap = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": MOST_OVERLAP_S})]
DAY_S = 86_400
# What is told this once of a new key.
ONCE = "key"


class NewKeyTerms(msgspec.Struct, forbid_unknown_fields=True):
    """What a new key may be used for."""

    name: Annotated[str, msgspec.Meta(description=f"1 to {MOST_NAME} characters.")]
    scopes: Scopes = msgspec.field(default_factory=list)
    expires_at: Instant | None = None
    networks: Networks = msgspec.field(default_factory=list)
    daily_limit: Limit | None = None


class KeyChange(msgspec.Struct, forbid_unknown_fields=True):
    """What of a key shall change; what is left out stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    scopes: Scopes | msgspec.UnsetType = msgspec.UNSET
    expires_at: Instant | msgspec.UnsetType | None = msgspec.UNSET
    networks: Networks | msgspec.UnsetType = msgspec.UNSET
    daily_limit: Limit | msgspec.UnsetType | None = msgspec.UNSET


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """For how many seconds the old key goes on; 0 revokes it at once."""

    overlap_s: Overlap = DAY_S


class KeyQuery(PageQuery):
    """Which keys: those that have ended, those that have not, or all."""

    ended: bool | msgspec.UnsetType = msgspec.UNSET


class KeyShape(msgspec.Struct):
    """A key. Of the key itself only the start is kept: `prefix`.

    `state` is active, replaced (good still, until `expires_at`), expired or revoked.
    """

    id: str
    name: str
    prefix: str
    scopes: list[str]
    expires_at: Instant | None
    networks: list[str]
    daily_limit: int | None
    last_used_at: Instant | None
    state: str
    created_at: Instant


class NewKeyShape(KeyShape, kw_only=True):
    """A key just made. `key` is told this once and kept nowhere: the answer to a repeated call has null."""

    key: str | None


class KeyPage(PageShape):
    """Keys, newest first."""

    items: list[KeyShape]


def new_terms(body: NewKeyTerms) -> KeyTerms:
    """The terms of a new key. Raises Invalid at /expires_at."""
    ends = _instant(body.expires_at)
    return KeyTerms(body.name, tuple(body.scopes), ends, tuple(body.networks), body.daily_limit)


def changed_terms(key: ApiKey, body: KeyChange) -> KeyTerms:
    """The terms that the key shall have. Raises Invalid at /expires_at."""
    there = terms_of(key)
    return KeyTerms(
        name=there.name if body.name is msgspec.UNSET else body.name,
        scopes=there.scopes if body.scopes is msgspec.UNSET else tuple(body.scopes),
        expires_at=there.expires_at if body.expires_at is msgspec.UNSET else _instant(body.expires_at),
        networks=there.networks if body.networks is msgspec.UNSET else tuple(body.networks),
        daily_limit=there.daily_limit if body.daily_limit is msgspec.UNSET else body.daily_limit,
    )


def key_shape(key: ApiKey, *, whole: bool = True) -> KeyShape:
    """A key as it is told; its networks masked unless `whole`."""
    return KeyShape(
        id=str(key.id),
        name=key.name,
        prefix=key.prefix,
        scopes=list(key.scopes),
        expires_at=key.expires_at.isoformat() if key.expires_at else None,
        networks=list(key.networks) if whole else [mask_address(network) for network in key.networks],
        daily_limit=key.daily_limit,
        last_used_at=key.last_used_at.isoformat() if key.last_used_at else None,
        state=key.state,
        created_at=key.created_at.isoformat(),
    )


def new_key_shape(made: NewKey) -> NewKeyShape:
    """A key that was just made, with its secret."""
    return NewKeyShape(**msgspec.structs.asdict(key_shape(made.key)), key=made.secret)


def _instant(told: str | None) -> datetime | None:
    if told is None:
        return None
    try:
        instant = datetime.fromisoformat(told)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Invalid({"/expires_at": gettext("This is not an ISO 8601 instant with a zone.")})
