"""Tables as files: CSV (RFC 4180, in UTF-8) whose cells no spreadsheet takes for formulas, and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Cell = str | int | float | None
# What a spreadsheet may take for the beginning of a formula, also in the forms that Unicode calls the same signs.
# Apostrophes before it count with it: so the one that is put there can be told from those that were there before.
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]")
# Signs that part cells in one country or another, and blanks that some readers trim.
QUOTED = re.compile('[",;|\t\r\n\x0b\x0c\x85\u2028\u2029]|^\\s|\\s$')
END = "\r\n"


def guarded(text: str) -> str:
    """The text with a ' before it where a spreadsheet would calculate it."""
    return f"'{text}" if FORMULA.match(text) else text


def restored(cell: str) -> str:
    """The text that `guarded` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def csv_row(cells: Iterable[Cell]) -> bytes:
    """One line. Texts are guarded; numbers are our own and stay numbers; None is an empty cell."""
    return (",".join(map(_written, cells)) + END).encode()


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return str(cell)
    text = guarded(cell)
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text


def read_csv(text: str) -> Iterator[list[str]]:
    """The rows of a CSV file with every cell restored. Raises csv.Error for what is no CSV."""
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        yield [restored(cell) for cell in row]


def json_line(value: dict[str, Any]) -> bytes:
    """One line of JSON."""
    return compact_json(value) + b"\n"


def compact_json(value: Any) -> bytes:
    """JSON without blanks, in UTF-8; whole numbers of any length."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a number beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
