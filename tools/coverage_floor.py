"""Say which of the modules that guard money, names and secrets fall short of their coverage.

    python tools/coverage_floor.py coverage.json

Reads the JSON report of coverage (lines and branches together). The project as a whole has its floor in
`test`; the table here is for the modules of which every line and branch is to be walked.
"""

import json
import sys
from pathlib import Path
from typing import Final

# Module → least percent of its lines and branches. A folder stands for each file in it.
FLOORS: Final[dict[str, float]] = {
    "portal/core/places.py": 100,
}


def find_shortfalls(percents: dict[str, float], floors: dict[str, float]) -> list[str]:
    """One sentence for each module under its floor or not in the report at all; empty when all stand."""
    shortfalls: list[str] = []
    for module, floor in floors.items():
        matching = {
            file: percent for file, percent in percents.items() if file == module or file.startswith(f"{module}/")
        }
        if not matching:
            shortfalls.append(f"{module}: not in the report")
        shortfalls += [
            f"{file}: {percent:.1f} %, wanted {floor:g} %" for file, percent in matching.items() if percent < floor
        ]
    return shortfalls


def main(report: str) -> int:
    """0 when every module of the table stands, 1 when not."""
    files = json.loads(Path(report).read_text())["files"]
    percents = {file: float(facts["summary"]["percent_covered"]) for file, facts in files.items()}
    shortfalls = find_shortfalls(percents, FLOORS)
    for sentence in shortfalls:
        print(sentence)
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
