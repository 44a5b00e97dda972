"""Say whether the tests walk enough of the project, and all of the modules that guard money, names and secrets.

    python tools/coverage_floor.py coverage.json

Reads the JSON report of coverage; a percent counts lines and branches together.
"""

import json
import sys
from pathlib import Path
from typing import Final

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


def find_shortfalls(percents: dict[str, float], floors: dict[str, float]) -> list[str]:
    """One sentence for each module under its floor or not in the report at all; empty when all stand."""
    shortfalls: list[str] = []
    for module, floor in floors.items():
        files = [file for file in percents if file == module or file.startswith(f"{module}/")]
        if not files:
            shortfalls.append(f"{module}: not in the report")
        shortfalls += [
            f"{file}: {percents[file]:.1f} %, wanted {floor:g} %" for file in files if percents[file] < floor
        ]
    return shortfalls


def main(report: str) -> int:
    """0 when the whole and every module of the table stand, 1 when not."""
    content = json.loads(Path(report).read_text())
    summaries = {file: facts["summary"] for file, facts in content["files"].items()}
    percents = {file: float(summary["percent_covered"]) for file, summary in summaries.items()}
    shortfalls = find_shortfalls(percents, FLOORS)
    whole = float(content["totals"]["percent_covered"])
    if whole < WHOLE:
        shortfalls.append(f"The whole: {whole:.1f} %, wanted {WHOLE:g} %. Most lines are left out in")
        poorest = sorted(summaries, key=lambda file: summaries[file]["missing_lines"], reverse=True)[:NAMED]
        shortfalls += [f"  {file}: {summaries[file]['missing_lines']} lines" for file in poorest]
    for sentence in shortfalls:
        print(sentence)
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
