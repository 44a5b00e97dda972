"""Say whether the tests walk enough of the project, and all of the modules that guard money, names and secrets.

    python tools/coverage_floor.py FOLDER

Reads what each process of the tests walked (tests/counting.py); a percent counts lines and branches together.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from slipcover import merge_coverage

# Least percent of the project as a whole.
WHOLE: Final = 90.0
# Module → least percent. A folder stands for each file in it.
FLOORS: Final[dict[str, float]] = {
    "portal/accounts/days.py": 100,
    "portal/accounts/links.py": 100,
    "portal/clients/service.py": 100,
    "portal/core/access.py": 100,
    "portal/core/actor.py": 100,
    "portal/core/data_keys.py": 100,
    "portal/core/envelopes.py": 100,
    "portal/core/hot.py": 100,
    "portal/core/own_secrets.py": 100,
    "portal/core/places.py": 100,
    "portal/keys/known.py": 100,
    "portal/keys/leasing.py": 100,
    "portal/keys/verify.py": 100,
    "portal/core/packing.py": 100,
    "portal/messages/bulk_rows.py": 100,
    "portal/messages/flush.py": 100,
    "portal/messages/grouping.py": 100,
    "portal/messages/intake.py": 100,
    "portal/messages/lines.py": 100,
    "portal/messages/quarantine.py": 100,
    "portal/messages/records.py": 100,
    "portal/messages/sealing.py": 100,
    "portal/messages/sealing_job.py": 100,
    "portal/messages/shape.py": 100,
    "portal/messages/statements.py": 100,
    "portal/messages/upserting.py": 100,
    "portal/messages/spool.py": 100,
    "portal/messages/spool_file.py": 100,
    "portal/messages/spool_folder.py": 100,
    "portal/messages/spool_ids.py": 100,
    "portal/messages/spool_lock.py": 100,
    "portal/messages/spool_own.py": 100,
    "portal/messages/spool_protocol.py": 100,
    "portal/messages/spool_redis.py": 100,
    "portal/messages/spool_scripts.py": 100,
    "portal/messages/spool_server.py": 100,
    "portal/messages/store.py": 100,
    "portal/privacy/rotation.py": 100,
    "portal/repeats/service.py": 100,
    "portal/signin/sessions.py": 100,
    "portal/signin/throttle.py": 100,
    "portal/usage/consuming.py": 100,
    "portal/usage/credits.py": 100,
    "portal/usage/decisions.py": 100,
    "portal/usage/leases.py": 100,
    "portal/usage/ledger.py": 100,
    "portal/usage/rates.py": 100,
    "portal/usage/refunds.py": 100,
    "portal/usage/refusals.py": 100,
    "portal/usage/spending.py": 100,
    "portal/usage/statements.py": 100,
    "portal/usage/verdicts.py": 100,
    "portal/web/csrf.py": 100,
    "portal/web/gates.py": 100,
}
# How many of the modules with the most unwalked lines are named when the whole falls short.
NAMED: Final = 12


def find_shortfalls(files: dict[str, Any], floors: dict[str, float]) -> list[str]:
    """One sentence for each module under its floor or not in the report at all; empty when all stand."""
    shortfalls: list[str] = []
    for module, floor in floors.items():
        found = [file for file in files if file == module or file.startswith(f"{module}/")]
        if not found:
            shortfalls.append(f"{module}: not in the report")
        for file in found:
            percent = float(files[file]["summary"]["percent_covered"])
            if percent < floor:
                shortfalls.append(f"{file}: {percent:.1f} %, wanted {floor:g} %; not walked: {name_gaps(files[file])}")
    return shortfalls


def name_gaps(facts: dict[str, Any]) -> str:
    """The lines of a file that were not walked, and the ways from a line to another (0 is the end of the function)."""
    lines = [str(line) for line in facts["missing_lines"]]
    unseen = set(facts["missing_lines"])
    return ", ".join(lines + [f"{start}→{end}" for start, end in facts["missing_branches"] if start not in unseen])


def read_walks(folder: Path) -> dict[str, Any]:
    """What all processes walked, taken together. Raises ValueError when there is nothing."""
    walks = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not walks:
        raise ValueError(f"no process has left in {folder} what it walked")
    together: dict[str, Any] = walks[0]
    for walk in walks[1:]:
        merge_coverage(together, walk)
    return together


def main(folder: str) -> int:
    """0 when the whole and every module of the table stand, 1 when not."""
    content = read_walks(Path(folder))
    files = content["files"]
    shortfalls = find_shortfalls(files, FLOORS)
    whole = float(content["summary"]["percent_covered"])
    if whole < WHOLE:
        shortfalls.append(f"The whole: {whole:.1f} %, wanted {WHOLE:g} %. Most lines are left out in")
        poorest = sorted(files, key=lambda file: len(files[file]["missing_lines"]), reverse=True)[:NAMED]
        shortfalls += [f"  {file}: {len(files[file]['missing_lines'])} lines" for file in poorest]
    for sentence in shortfalls:
        print(sentence)
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
