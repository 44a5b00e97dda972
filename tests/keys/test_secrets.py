"""What a key looks like: long, all different, and known by a scanner that never asks us."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.keys.secrets import make_secret, well_formed
from tests.structure.source import ROOT

DOCUMENT = (ROOT / "docs/keys.md").read_text()


def block(language: str) -> str:
    """The one block of this language in docs/keys.md."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    return str(found)


def test_keys_are_long_all_different_and_prove_their_form() -> None:
    secrets = {make_secret() for _ in range(500)}
    assert len(secrets) == 500
    assert {len(secret) for secret in secrets} == {52}
    assert all(map(well_formed, secrets))


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(3, 51), st.sampled_from("abcXYZ019-_é\ud800"))
def test_a_typing_error_is_seen_without_a_look_up(place: int, letter: str) -> None:
    secret = make_secret()
    wrong = secret[:place] + letter + secret[place + 1 :]
    assert well_formed(wrong) is (wrong == secret)


@pytest.mark.parametrize("around", ["{}", 'KEY="{}"', "curl -d {} x", "?key={}&a=b", "{}\n", "key:{}."])
def test_the_documented_pattern_finds_a_key_in_a_text(around: str) -> None:
    secret = make_secret()
    assert re.findall(block("regex").strip(), around.format(secret)) == [secret]
    assert re.findall(block("regex").strip(), around.format(f"x{secret}")) == []


def test_the_documented_program_tells_keys_from_look_alikes() -> None:
    real = [make_secret() for _ in range(20)]
    alike = [secret[:-1] + ("a" if secret[-1] != "a" else "b") for secret in real]
    text = "\n".join(f"token = '{secret}'" for secret in [*real, *alike])
    done = subprocess.run(
        [sys.executable, "-c", block("python")], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == real
