"""What ships: the README says what the results say, and shipping takes only what belongs to it."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from persona import cli, evaluation
from persona.errors import PersonaError
from persona.keeping import store
from persona.study import score
from persona.study.chapter import findings_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import ship as shipping  # noqa: E402


def test_the_readme_holds_the_table_and_findings_of_the_results_that_ship():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert shipping.filled(text) == text


def test_the_table_has_the_paper_s_rows_and_ours_under_both_protocols():
    rows = shipping.headline().splitlines()[2:]
    assert sum(row.startswith("| paper |") for row in rows) == 6
    for protocol in ("random clips", "unseen speakers"):
        ours = [row for row in rows if row.startswith(f"| ours, {protocol} |")]
        assert {"MFCC", "CAM++", "Whisper"} <= {row.split(" | ")[1] for row in ours}
        assert all(re.search(r"\d\d\.\d \[\d\d\.\d, \d\d\.\d\]", row) for row in ours)


def test_the_readme_gives_one_number_for_one_configuration():
    """Other deals of the folds give other numbers: those of one are printed, and of no other."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    deals: dict[str, dict[str, Any]] = {}
    for file in (ROOT / "data" / "results").glob("*.parquet"):
        table = store.read_table(file)
        experiments = table.provenance.get("experiments", {})
        for name, described in experiments.items() if isinstance(experiments, dict) else ():
            if not {"tested", "besides", "estimator"} & set(described):
                seeds = str(described.pop("seeds"))
                same = json.dumps(described, sort_keys=True)
                deals.setdefault(same, {})[seeds] = name, table.columns
    several = [by_seeds for by_seeds in deals.values() if len(by_seeds) > 1]
    assert several
    for by_seeds in several:
        printed = set()
        for seeds, (name, columns) in by_seeds.items():
            rows = pd.DataFrame(columns)
            own = evaluation.from_frame(rows[rows["experiment"] == name])
            numbers = score({0: own}).iloc[0]
            printed |= {seeds for number in numbers if number in text}
        assert len(printed) <= 1


def test_a_finding_that_ships_has_three_sentences_at_most():
    for sentences in store.read_json(findings_file()).values():
        assert 1 <= len(re.findall(r"[.!?](?= [A-Z]|$)", sentences)) <= 3
        assert len(sentences.split()) <= 90


def test_a_finding_is_what_stands_behind_in_short_without_details():
    output = {"data": {"text/markdown": ["**In short:** it ", "works.\n\n", "- in detail."]}}
    notebook = {"cells": [{"cell_type": "markdown"}, {"outputs": [output]}]}
    assert shipping.finding(notebook) == "it works."
    assert shipping.finding({"cells": []}) == ""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("PERSONA_DATA", "PERSONA_BUILD"):
        monkeypatch.setenv(name, str(tmp_path / name / "data"))
    monkeypatch.setattr(store, "in_checkout", lambda: True)
    monkeypatch.setattr(shipping, "identity", lambda _: "0123456789ab")
    return store.made(), store.shipped()


def test_a_table_too_large_to_ship_stops_it(folders, monkeypatch):
    made, _ = folders
    file = made / "features" / "crema-d" / "mfcc.parquet"
    store.write_bytes(file, bytes(11))
    monkeypatch.setattr(shipping, "LARGEST", 10)
    with pytest.raises(PersonaError, match="cannot ship"):
        list(shipping.ship())


def test_tables_of_inner_layers_that_are_too_many_stay(folders):
    made, shipped = folders
    store.write_bytes(made / "features" / "crema-d" / "whisper_layers.parquet", b"x")
    store.write_bytes(made / "features" / "crema-d" / "mfcc.parquet", b"y")
    (shipped.parent).mkdir(parents=True)
    (shipped.parent / "README.md").write_text("what it is")
    with pytest.raises(PersonaError):  # there is no table of results to fill the README with
        list(shipping.ship())
    assert not (shipped / "features" / "crema-d" / "whisper_layers.parquet").exists()
    assert (shipped / "features" / "crema-d" / "mfcc.parquet").read_bytes() == b"y"


def commands(pattern: str) -> list[str]:
    """What follows a command's name where the README shows code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return sorted(set(re.findall(rf"(?:^|`|&& ){pattern}", text, re.MULTILINE)))


@pytest.mark.parametrize("target", commands(r"make ([a-z-]+)"))
def test_every_make_target_that_the_readme_names_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", commands(r"persona ((?:corpus )?[a-z]+)"))
def test_every_command_that_the_readme_names_exists(command, capsys):
    assert cli.main([*command.split(), "--help"]) == 0
