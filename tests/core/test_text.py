"""One canonical form of every name; what looks alike or cannot be seen is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.text import BadName, canonical_email, canonical_username, clean_line, folded

USERNAMES = [
    ("alice", "alice"),
    ("  Alice ", "alice"),
    ("AMARA.OKAFOR", "amara.okafor"),
    ("a-b_c.9", "a-b_c.9"),
    ("007", "007"),
    ("x" * 40, "x" * 40),
]

REFUSED_USERNAMES = {
    "empty": "",
    "two characters": "ab",
    "41 characters": "x" * 41,
    "an e-mail": "alice@example.org",
    "blank inside": "ali ce",
    "leading dot": ".alice",
    "leading hyphen": "-alice",
    "full width": "\uff41\uff4c\uff49\uff43\uff45",
    "dotless i": "al\u0131ce",
    "dotted capital I": "AL\u0130CE",
    "sharp s": "stra\u00dfe",
    "kelvin sign": "\u212aelvin",
    "long s": "\u017fophie",
    "zero-width space": "ali\u200bce",
    "zero-width joiner": "ali\u200dce",
    "soft hyphen": "ali\u00adce",
    "right-to-left override": "\u202eecila",
    "Cyrillic a": "\u0430lice",
    "Greek omicron": "b\u03bfb",
    "accent": "ren\u00e9e",
    "combining accent": "rene\u0301e",
    "NUL": "ali\0ce",
    "line feed": "ali\nce",
    "slash": "ali/ce",
    "quote": "ali'ce",
    "per cent": "ali%ce",
    "emoji": "alice\U0001f600",
}

EMAILS = [
    ("alice@example.org", "alice@example.org"),
    ("  Alice@EXAMPLE.Org ", "alice@example.org"),
    ("alice+desk@example.org", "alice+desk@example.org"),
    ("a.l.i.c.e@example.org", "a.l.i.c.e@example.org"),
    ("\uff41lice@example.org", "alice@example.org"),
    ("alice@b\u00fccher.example", "alice@xn--bcher-kva.example"),
    ("alice@B\u00dcCHER.example", "alice@xn--bcher-kva.example"),
    ("alice@xn--bcher-kva.example", "alice@xn--bcher-kva.example"),
    ("Stra\u00dfe@example.org", "strasse@example.org"),
    ("jos\u00e9@example.org", "jos\u00e9@example.org"),
    ("jose\u0301@example.org", "jos\u00e9@example.org"),
    ("o'brien@example.org", "o'brien@example.org"),
]

REFUSED_EMAILS = {
    "empty": "",
    "no at": "alice.example.org",
    "no local part": "@example.org",
    "no domain": "alice@",
    "no dot in the domain": "alice@localhost",
    "two ats": "alice@bob@example.org",
    "a full-width at": "alice\uff20example.org",
    "a full-width at beside a real one": "alice\uff20bob@example.org",
    "quoted": '"alice"@example.org',
    "blank": "ali ce@example.org",
    "no-break space": "ali\u00a0ce@example.org",
    "zero-width space": "ali\u200bce@example.org",
    "right-to-left override": "\u202ealice@example.org",
    "variation selector in the domain": "alice@exam\ufe0fple.org",
    "grapheme joiner in the domain": "alice@exam\u034fple.org",
    "variation selector": "ali\ufe0fce@example.org",
    "NUL": "alice\0@example.org",
    "header injection": "alice@example.org\r\nBcc: all@example.org",
    "comma": "alice,bob@example.org",
    "angle brackets": "<alice@example.org>",
    "dots in a row": "ali..ce@example.org",
    "leading dot": ".alice@example.org",
    "trailing dot": "alice.@example.org",
    "empty label": "alice@example..org",
    "final dot": "alice@example.org.",
    "label with a hyphen in front": "alice@-example.org",
    "underscore in the domain": "alice@exa_mple.org",
    "address as domain": "alice@[127.0.0.1]",
    "65 characters before the at": "x" * 65 + "@example.org",
    "255 characters": "x" * 60 + "@" + ".".join(["y" * 48] * 4) + ".org",
    "label of 64": "alice@" + "y" * 64 + ".org",
}


@pytest.mark.parametrize(("typed", "canonical"), USERNAMES)
def test_a_username_has_one_form(typed: str, canonical: str) -> None:
    assert canonical_username(typed) == canonical


@pytest.mark.parametrize("typed", REFUSED_USERNAMES.values(), ids=REFUSED_USERNAMES)
def test_a_username_that_could_deceive_is_refused(typed: str) -> None:
    with pytest.raises(BadName, match="A username"):
        canonical_username(typed)


@pytest.mark.parametrize(("typed", "canonical"), EMAILS)
def test_an_email_has_one_form(typed: str, canonical: str) -> None:
    assert canonical_email(typed) == canonical


@pytest.mark.parametrize("typed", REFUSED_EMAILS.values(), ids=REFUSED_EMAILS)
def test_an_email_that_could_deceive_is_refused(typed: str) -> None:
    with pytest.raises(BadName, match="not an e-mail address"):
        canonical_email(typed)


@given(st.text(max_size=50))
def test_a_username_in_its_form_stays_as_it_is(typed: str) -> None:
    try:
        once = canonical_username(typed)
    except BadName:
        return
    assert canonical_username(once) == once
    assert once.isascii()
    assert 3 <= len(once) <= 40


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_an_email_in_its_form_stays_as_it_is(local: str, name: str) -> None:
    try:
        once = canonical_email(f"{local}@{name}.example")
    except BadName:
        return
    assert canonical_email(once) == once
    assert once.count("@") == 1


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Amara Okafor ", "Amara Okafor"),
        ("Rene\u0301e", "Ren\u00e9e"),
        ("\u5f20\u4f1f", "\u5f20\u4f1f"),
        ("\u0639\u0645\u0631", "\u0639\u0645\u0631"),
        ("Ann \U0001f469\u200d\U0001f680", "Ann \U0001f469\u200d\U0001f680"),
        ("Robert'); DROP TABLE", "Robert'); DROP TABLE"),
        ("", ""),
    ],
)
def test_a_display_name_may_be_nearly_anything(typed: str, kept: str) -> None:
    assert clean_line(typed) == kept


@pytest.mark.parametrize("char", ["\0", "\n", "\r", "\t", "\x1b", "\u200b", "\u202e", "\u2028", "\ufeff", "\ue000"])
def test_a_display_name_hides_nothing(char: str) -> None:
    with pytest.raises(BadName, match="cannot be shown"):
        clean_line(f"Ann{char}Lee")


def test_a_display_name_has_an_end() -> None:
    assert clean_line("\u00e9" * 80) == "\u00e9" * 80
    with pytest.raises(BadName, match="At most 80"):
        clean_line("x" * 81)


def test_search_folds_case_and_width() -> None:
    assert folded("\uff21mara STRA\u00dfE") == "amara strasse"
