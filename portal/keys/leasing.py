"""A lease on the budget of a key's owner: the key is checked as for a verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.keys.known import digest_of, read_key
from portal.keys.verify import Question, ask_about
from portal.usage.leases import MOST_TRIES, Taken, check_terms, take_lease
from portal.usage.spending import Stale
from portal.usage.verdicts import Verdict, tell_of_nobody

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.core.actor import Actor
    from portal.repeats.service import Repeat, Replay


@needs(Capability.USAGE_LEASE)
def lease_for_key(
    actor: Actor, question: Question, ttl_s: int, *, repeat: Repeat | None = None, face: Callable[[Taken], bytes]
) -> Taken | Replay:
    """A lease by key, from the address of the question or, where that names none, the client's own. Raises Invalid."""
    check_terms(question.conversations, question.credits or 0, ttl_s)
    asked = msgspec.structs.replace(question, credits=question.credits or 0, ip=question.ip or actor.address)
    digest = digest_of(question.key)
    for _ in range(MOST_TRIES):
        key = read_key(digest)
        if key is None:
            return tell_of_nobody(actor, Taken(Verdict("KEY_UNKNOWN", str(new_id())), None), repeat, face)
        try:
            return take_lease(actor, ask_about(actor, key, asked, clock.now()), ttl_s, repeat, face)
        except Stale:
            continue
    raise Unavailable(retry_after=1)
