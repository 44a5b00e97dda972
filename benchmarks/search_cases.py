"""What the benchmark of the search asks for: each case draws other words every time, the same ones in every run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

from benchmarks.crowd import CAME, id_of
from benchmarks.talk import BUSY, MODELS, QUIET, WORDS, vocabulary, words_of
from portal.core.access import Capability, operator_actor
from portal.core.actor import Actor, ActorKind
from portal.messages.reading import LogFilter, list_logs, own_hits, search_logs

if TYPE_CHECKING:
    from collections.abc import Callable

# A log every half a minute: see talk.py.
LOGS_A_DAY: Final = 2_880
DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Draw:
    """Words to look for, drawn from the vocabulary of so many logs."""

    chance: Random
    logs: int

    def common(self) -> str:
        """One of the 20 commonest words: it stands in every fifth log or in more."""
        return self._of(0, 20)

    def middling(self) -> str:
        """A word that stands in one log of some hundred."""
        return self._of(400, 2_000)

    def rare(self) -> str:
        """A word that stands in one log of some thousands."""
        return self._of(20_000, 50_000)

    def phrase(self) -> str:
        """Three words in a row that stand in some log."""
        said, first = words_of(self.chance.randrange(self.logs)), self.chance.randrange(20, WORDS - 3)
        return f'"{" ".join(said[first : first + 3])}"'

    def common_phrase(self) -> str:
        """Two common words in a row: the index knows nearly every log, few of them are meant."""
        return f'"{self.common()} {self.common()}"'

    def prefix(self) -> str:
        """The beginning of some hundred words."""
        return f"w{self.chance.randrange(256):02x}*"

    def both(self) -> str:
        """A rare word and a common one."""
        return f"{self.rare()} {self.common()}"

    def week(self) -> LogFilter:
        """A common word in one week."""
        last = max(1, self.logs // LOGS_A_DAY - DAYS)
        since = CAME + timedelta(days=self.chance.randrange(last))
        return LogFilter(search=self.common(), since=since, until=since + timedelta(days=DAYS))

    def _of(self, first: int, last: int) -> str:
        words, _ = vocabulary()
        return words[self.chance.randrange(first, last)]


@dataclass(frozen=True, slots=True)
class Person:
    """A user whose own conversations are searched."""

    number: int

    @property
    def actor(self) -> Actor:
        """The user as an actor."""
        capabilities = frozenset({Capability.OWN_CONVERSATIONS})
        return Actor(ActorKind.USER, f"user-{self.number}", id=self.id, capabilities=capabilities)

    @property
    def id(self) -> UUID:
        """The user's id."""
        return UUID(id_of("user", self.number))


@dataclass(frozen=True)
class Case:
    """One line of the table: its name, words for it, what it asks for and who asks."""

    name: str
    words: str
    draw: Callable[[Draw], LogFilter]
    person: Person | None = None

    @cached_property
    def actor(self) -> Actor:
        """Who asks: the user, or somebody entitled who gives a reason."""
        return self.person.actor if self.person else operator_actor().because("benchmark")

    def ask(self, wanted: LogFilter) -> int:
        """Search as the pages and the API do, snippets and all; answers how many places there were on the page."""
        if self.person:
            return sum(len(found.hits) for found in own_hits(self.actor, wanted).items)
        if wanted.search:
            return len(search_logs(self.actor, wanted, what="benchmark").items)
        return len(list_logs(self.actor, wanted).items)


def _words(make: Callable[[Draw], str], **filters: object) -> Callable[[Draw], LogFilter]:
    return lambda draw: LogFilter(search=make(draw), **filters)  # type: ignore[arg-type]  # fields of LogFilter


def _cases() -> list[Case]:
    few = UUID(id_of("user", QUIET))
    cases = [
        Case("list", "list, no words", lambda _: LogFilter()),
        Case("rare", "rare word", _words(Draw.rare)),
        Case("middling", "middling word", _words(Draw.middling)),
        Case("common", "common word", _words(Draw.common)),
        Case("nothing", "word nobody said", _words(lambda _: "nobodysaidthis")),
        Case("phrase", "phrase", _words(Draw.phrase)),
        Case("common-phrase", "phrase of two common words", _words(Draw.common_phrase)),
        Case("prefix", "prefix", _words(Draw.prefix)),
        Case("both", "rare and common word", _words(Draw.both)),
        Case("model", "common word, rare model", _words(Draw.common, model=MODELS[-1])),
        Case("rare-model", "middling word, rare model", _words(Draw.middling, model=MODELS[-1])),
        Case("week", "common word, one week", Draw.week),
        Case("talk", "common word, one conversation", _words(Draw.common, conversation="c-7")),
        Case("of-one", "common word, one user", _words(Draw.common, user_id=few)),
    ]
    for number, name, words in ((QUIET, "few", "own, 20 logs"), (BUSY, "many", "own, many logs")):
        person = Person(number)
        cases += [
            Case(f"{name}-all", f"{words}: a model", _words(lambda _: "", model=MODELS[0]), person),
            Case(f"{name}-rare", f"{words}: rare word", _words(Draw.rare), person),
            Case(f"{name}-middling", f"{words}: middling word", _words(Draw.middling), person),
            Case(f"{name}-common", f"{words}: common word", _words(Draw.common), person),
            Case(f"{name}-phrase", f"{words}: phrase", _words(Draw.phrase), person),
            Case(f"{name}-common-phrase", f"{words}: phrase of two common words", _words(Draw.common_phrase), person),
            Case(f"{name}-prefix", f"{words}: prefix", _words(Draw.prefix), person),
            Case(f"{name}-week", f"{words}: common word, one week", Draw.week, person),
        ]
    return cases


CASES: Final = {case.name: case for case in _cases()}
