"""A guide of docs/: its shell blocks with the answers it shows, its tables, and how an answer is held against it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from portal.core.places import ROOT
from tests.servers import Server
from tests.shell import Shell

BLOCK = re.compile(r"```(sh|json|text)\n(.*?)```", flags=re.S)
REST = "…"


class Guide:
    """One guide. `its_own` names the members that differ each time; only their kind is compared."""

    def __init__(self, path: str, its_own: set[str]) -> None:
        self.text = (ROOT / path).read_text("utf-8")
        self.its_own = its_own

    def blocks(self) -> list[tuple[str, str, str]]:
        """Each shell block with the sort and the text of the answer shown right after it, if there is one."""
        found = [(match[1], match[2]) for match in BLOCK.finditer(self.text)]
        paired = []
        for (sort, text), (next_sort, next_text) in zip(found, [*found[1:], ("", "")], strict=True):
            if sort == "sh":
                paired.append((text, *(("", "") if next_sort == "sh" else (next_sort, next_text))))
        return paired

    def column(self, heading: str, place: int = 0) -> list[str]:
        """One column of the table with this heading line, as written."""
        rows = self.text.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
        assert rows, f"there is no table headed {heading}"
        return [row.strip("|").split("|")[place].strip() for row in rows]

    def run(self, server: Server, folder: Path) -> int:
        """Run every block in turn beside this server and compare; answers how many JSON answers were compared."""
        shell = Shell(server, folder)
        checked = 0
        for block, sort, shown in self.blocks():
            printed = shell.run(block)
            if sort == "json":
                assert self.differences(json.loads(shown), json.loads(printed)) == [], f"{block}\nanswered {printed}"
                checked += 1
            elif sort == "text":
                assert printed.strip().lower() == shown.strip().lower(), block
        return checked

    def differences(self, shown: Any, got: Any, where: str = "") -> list[str]:
        """Where an answer is not what the page shows. A member named `…` stands for all that are left out."""
        if isinstance(shown, dict) and isinstance(got, dict):
            wrong = [f"{where}/{name} is missing" for name in shown.keys() - got.keys() - {REST}]
            if REST not in shown:
                wrong += [f"{where}/{name} is not shown" for name in got.keys() - shown.keys()]
            for name in shown.keys() & got.keys():
                if name in self.its_own:
                    told = type(shown[name]), str(shown[name])[:3] == "ok_"
                    if told != (type(got[name]), str(got[name])[:3] == "ok_"):
                        wrong.append(f"{where}/{name} is {got[name]!r}")
                else:
                    wrong += self.differences(shown[name], got[name], f"{where}/{name}")
            return wrong
        if isinstance(shown, list) and isinstance(got, list) and len(shown) == len(got):
            return [
                fault
                for at, pair in enumerate(zip(shown, got, strict=True))
                for fault in self.differences(*pair, f"{where}/{at}")
            ]
        return [] if shown == got else [f"{where} is {got!r}, shown as {shown!r}"]
