"""Keep the lists of names by which public benchmarks split CREMA-D, from checkouts of them.

python tools/build_splits.py EmoBox OGM-GE_CVPR2022 nkululeko EMO-SUPERB-submission

writes data/splits/*.csv, a row for each clip or speaker that is not only trained on: its part is
"validation" or the number of the fold that it is tested in. Commits are in provenance.json.
"""

import csv
import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "data" / "splits"


def write(name: str, column: str, parts: dict[str, str]) -> None:
    """One list, sorted by name."""
    with open(TARGET / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([column, "part"])
        rows.writerows(sorted(parts.items()))


def rows(file: Path) -> list[dict[str, str]]:
    """Rows of a CSV with a header."""
    with open(file, encoding="utf-8-sig") as opened:
        return list(csv.DictReader(opened))


def main(emobox: Path, ogm_ge: Path, nkululeko: Path, emo_superb: Path) -> None:
    """Write every list."""
    lines = (emobox / "data/cremad/fold_1/cremad_test_fold_1.jsonl").read_text().splitlines()
    write("emobox", "clip", {Path(json.loads(line)["wav"]).stem: "0" for line in lines})

    lines = (ogm_ge / "data/CREMAD/test.csv").read_text(encoding="utf-8-sig").splitlines()
    write("ogm_ge", "clip", {line.split(",")[0]: "0" for line in lines if line})

    folder = nkululeko / "data/crema-d-csv"
    dev, test = (
        {row["speaker_id"] for row in rows(folder / f"crema-d_{part}.csv")}
        for part in ("dev", "test")
    )
    write("nkululeko", "speaker", dict.fromkeys(dev, "validation") | dict.fromkeys(test, "0"))

    folds: dict[str, str] = {}
    for fold in range(5):
        for row in rows(emo_superb / f"data/CREMA-D/Primary/labels_consensus_{fold + 1}.csv"):
            if row["Split_Set"] == "Test":
                folds[row["SpkrID"]] = str(fold)
    write("emo_superb", "speaker", folds)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
