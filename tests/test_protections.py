"""The trust page names tests that exist."""

import ast
import csv
import datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
with open(ROOT / "tests" / "protections.csv", encoding="utf-8", newline="") as opened:
    ROWS = list(csv.DictReader(opened))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["promise"])
def test_every_promise_names_a_test_and_code_that_exist(row):
    file, *names = row["test"].split("::")
    assert names and (ROOT / row["where"]).exists()
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for name in names:
        found = [node for node in body if getattr(node, "name", None) == name]
        assert found, f"{file} has no {name}"
        body = found[0].body


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["promise"])
def test_what_was_seen_to_fail_says_what_was_taken_out(row):
    assert bool(row["taken_out"]) == bool(row["seen_to_fail"])
    if row["seen_to_fail"]:
        datetime.date.fromisoformat(row["seen_to_fail"])


def test_the_tests_run_nearly_all_of_the_package():
    """As counted last, by `make coverage`; the page names the modules that came since."""
    with open(ROOT / "tests" / "coverage.csv", encoding="utf-8", newline="") as opened:
        total, *modules = list(csv.DictReader(opened))
    there = {str(file.relative_to(ROOT)) for file in (ROOT / "persona").rglob("*.py")}
    assert {row["module"] for row in modules} <= there
    assert int(total["lines_run"]) > 0.92 * int(total["lines"])
    assert int(total["branches_taken"]) > 0.92 * int(total["branches"])
