"""/account/conversations: read and search one's own."""

from __future__ import annotations

from collections.abc import Callable

from tests.people import make_account
from tests.visitor import Visitor

Talk = Callable[..., None]
Browser = Callable[[str], Visitor]
LIST = "/account/conversations"


def opened(visitor: Visitor, query: str = "") -> list[str]:
    """The addresses of the conversations in the list."""
    links = dict.fromkeys(link for link in visitor.get(LIST + query).links() if link.startswith(f"{LIST}/"))
    return [link for link in links if link != f"{LIST}/keeping"]


def test_what_was_pushed_is_read_in_order(talk: Talk, browser: Browser) -> None:
    make_account("alice")
    talk("alice", "Where is my parcel?", "On a ship.", conversation_id="c")
    talk("alice", "Which <b>ship</b>?", "The Ariadne.", conversation_id="c")
    alice = browser("alice")
    (address,) = opened(alice)
    page = alice.get(address)
    said = ["Where is my parcel?", "On a ship.", "Which <b>ship</b>?", "The Ariadne."]
    places = [page.text.index(words) for words in said]
    # The first words are the title too: the last place is the one in the talk.
    assert places[1:] == sorted(places[1:])
    assert page.text.rindex(said[0]) < places[1]


def test_words_and_model_narrow_the_list(talk: Talk, browser: Browser) -> None:
    make_account("alice")
    talk("alice", "A recipe for soup", "Leek and potato.", conversation_id="a", model="m-1")
    talk("alice", "A song", "Of ice.", conversation_id="b", model="m-2")
    alice = browser("alice")
    assert len(opened(alice)) == 2
    soup, song = opened(alice, "?q=potato"), opened(alice, "?model=m-2")
    assert len(soup) == len(song) == 1
    assert soup != song
    assert opened(alice, "?q=potato&model=m-2") == []
    assert "potato" in alice.get(soup[0]).text


def test_the_words_of_others_are_found_by_nobody_else(talk: Talk, browser: Browser) -> None:
    for name in ("alice", "bob"):
        make_account(name)
        talk(name, f"the secret of {name}")
    alice, bob = browser("alice"), browser("bob")
    assert opened(alice, "?q=bob") == []
    assert set(opened(alice)).isdisjoint(opened(bob))
    assert "secret of bob" not in alice.get(LIST).html + alice.get("/account").html


def test_odd_searches_are_no_fault(talk: Talk, browser: Browser) -> None:
    make_account("alice")
    talk("alice", "hello there")
    alice = browser("alice")
    for odd in ("%22", "%27", "*", "NEAR(", "a+AND+", "%00", "%25", "x" * 300, "-hello", "(", "hello:*", "%5C"):
        assert alice.get(f"{LIST}?q={odd}").status == 200, odd
    assert alice.get(f"{LIST}?cursor=nonsense").status == 400
