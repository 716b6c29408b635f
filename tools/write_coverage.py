"""Write tests/coverage.csv from coverage's report in JSON: lines and branches by module.

python tools/write_coverage.py build/coverage.json
"""

import csv
import datetime
import json
import sys
from pathlib import Path

COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")
HEADER = ("module", "lines", "lines_run", "branches", "branches_taken", "date")


def rows(report: dict) -> list[tuple[object, ...]]:
    """A row per module, and one, "persona", for all."""
    date = datetime.datetime.fromisoformat(report["meta"]["timestamp"]).date()
    of = {name: file["summary"] for name, file in report["files"].items()}
    of = {"persona": report["totals"]} | {name: of[name] for name in sorted(of)}
    return [(name, *(counts[one] for one in COUNTS), date) for name, counts in of.items()]


if __name__ == "__main__":
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with open("tests/coverage.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows(report)])
