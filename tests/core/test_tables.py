"""CSV that no spreadsheet calculates and that is read back as it was, and JSON lines."""

from __future__ import annotations

import csv
import io
import json

import pytest

from portal.core.tables import csv_row, guarded, json_line, read_csv, restored

SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
FORMULAS = [
    *SIGNS,
    *(sign + "1+1" for sign in SIGNS),
    '=HYPERLINK("https://example.org";"x")',
    "@SUM(1)",
    "-2+3",
    "+49 30 1234",
    "'=1",
    "''@x",
    "'",
]
PLAIN = ["", "hello", "a=b", "1", "'tis so", "''", " =1", "a, b", 'say "so"', "two\r\nlines", "tab\there", "ä ☃ 𐍈", ";"]


@pytest.mark.parametrize("text", [*FORMULAS, *PLAIN])
def test_a_cell_is_read_back_as_it_was(text: str) -> None:
    assert restored(guarded(text)) == text
    line = csv_row([text, "next", 7, None])
    assert list(read_csv(line.decode())) == [[text, "next", "7", ""]]


@pytest.mark.parametrize("text", [text for text in FORMULAS if text.lstrip("'")])
def test_no_cell_begins_a_formula(text: str) -> None:
    (row,) = csv.reader(io.StringIO(csv_row([text]).decode(), newline=""), strict=True)
    assert row[0].startswith("'")
    assert guarded(text) == f"'{text}"


def test_what_is_harmless_is_left_alone() -> None:
    assert [guarded(text) for text in PLAIN] == PLAIN


def test_numbers_of_our_own_stay_numbers() -> None:
    assert csv_row([-3, 0, 1.5, None, 2**70]) == f"-3,0,1.5,,{2**70}\r\n".encode()


def test_quotes_are_doubled_and_lines_end_as_the_standard_says() -> None:
    assert csv_row(['say "so"', "a,b", "plain"]) == b'"say ""so""","a,b",plain\r\n'
    assert csv_row(["two\nlines", " blank ", "a;=1"]) == b'"two\nlines"," blank ","a;=1"\r\n'


def test_a_line_of_json_is_one_line() -> None:
    value = {"said": "two\nlines ☃", "big": 2**70, "none": None}
    line = json_line(value)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line) == value
    assert json_line({"a": [1, "ä"]}) == '{"a":[1,"ä"]}\n'.encode()
