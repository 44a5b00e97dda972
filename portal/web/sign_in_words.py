"""How many browsers and programs are signed out, in words that several pages say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.text import ngettext

if TYPE_CHECKING:
    from portal.signin.ending import SignedIn


def ended_words(ended: SignedIn) -> str:
    """What was ended of an account."""
    told = ngettext("One browser is signed out.", "%(num)s browsers are signed out.", ended.browsers)
    return f"{told} {programs_words(ended.programs)}" if ended.programs else told


def programs_words(programs: int) -> str:
    """How many programs were."""
    return ngettext("One program is signed out.", "%(num)s programs are signed out.", programs)


def ending_words(living: SignedIn) -> list[str]:
    """What will be ended, a line each."""
    lines = [
        ngettext("%(num)s browser is signed out at once.", "%(num)s browsers are signed out at once.", living.browsers)
    ]
    if living.programs:
        lines.append(
            ngettext(
                "%(num)s program is signed out at once.", "%(num)s programs are signed out at once.", living.programs
            )
        )
    return lines
