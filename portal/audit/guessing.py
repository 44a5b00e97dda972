"""Telling in what way an entry is wrong, from what stands around it."""

from __future__ import annotations

from typing import Any

from portal.audit.chain import digest_of

Row = dict[str, Any]


def how_broken(before: bytes, seq: int, row: Row, nearby: list[Row]) -> str:
    """What became of the entry at this place, which does not follow on the digest before it, in a line.

    `nearby`: the entries from this place on, some hundreds at most.
    """
    later = [one for one in nearby if one["seq"] > seq]
    for other in later:
        number, own = other["seq"], _is_at(before, seq, other, other["digest"])
        if own and number == seq + 1 and not _is_at(other["digest"], number, row, row["digest"]):
            return f"inserted: what stood here is entry {number} now"
        if own or _is_at(before, seq, other, row["digest"]):
            return f"swapped: here stands what belongs elsewhere, and what is entry {number} now belongs here"
    if later and any(
        _is_at(row["digest"], seq + gap + 1, later[0], later[0]["digest"]) for gap in range(1, len(nearby) + 1)
    ):
        return "removed: entries are missing here, and those after were numbered anew"
    return "changed: it is not what was sealed"


def _is_at(before: bytes, seq: int, row: Row, digest: bytes | None) -> bool:
    try:
        return digest_of(before, seq, row) == digest
    except (TypeError, AttributeError, KeyError):
        return False
