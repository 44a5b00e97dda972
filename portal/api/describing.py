"""What a route of the API says of itself, for the document: shapes, statuses, headers, an example."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    Shape = type[msgspec.Struct]

P = ParamSpec("P")
R = TypeVar("R")
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Description:
    """What one route takes and gives. `answers` maps each status of success to the shape of its body; None: no body.

    `filters` is a shape whose fields are the parameters of the address. `repeats`: Idempotency-Key means something.
    `versioned`: the answer has an ETag; with a body or DELETE, If-Match is heeded. `reason`, `case`: the headers
    X-Reason and X-Case are. `errors` are statuses beside those that follow from the rest. `example` is the body of a
    request that succeeds, and `shown` what it is answered with: both are run as a test. `takes` are media types of the
    body, and `gives` of the answer. `by_key`: an API key is the credential. A shape may be a JSON schema as it stands.
    """

    answers: dict[int, Shape | Any | None]
    body: Shape | Any | None = None
    filters: Shape | None = None
    repeats: bool = False
    versioned: bool = False
    reason: bool = False
    case: bool = False
    oauth: bool = False
    by_key: bool = False
    errors: tuple[int, ...] = ()
    takes: tuple[str, ...] = (JSON,)
    gives: str = JSON
    example: Any = None
    shown: Any = None
    tag: str = ""
    operation: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def describes(
    answers: dict[int, Shape | Any | None], *, query: Shape | None = None, **said: Any
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Say for the document what this view takes and gives: see Description, whose `filters` are given as `query`.

    The first line of the view's docstring is the summary.
    """

    def dress(view: Callable[P, R]) -> Callable[P, R]:
        view.__description__ = Description(answers, filters=query, **said)  # type: ignore[attr-defined]  # read by the document
        return view

    return dress


def description_of(view: Callable[..., Any]) -> Description | None:
    """What a view says of itself; `functools.wraps` of the gates carries it on."""
    found: Description | None = getattr(view, "__description__", None)
    return found
