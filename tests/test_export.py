"""Results as data: records and the crate that describes them."""

import csv
import json
import sys
from pathlib import Path

import pytest

from persona import evaluation
from persona.experiment import Experiment
from persona.keeping import store
from persona.run import identity, run

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import export_results  # noqa: E402

RESULTS = ROOT / "data" / "results"
TABLE = ROOT / "data" / "features" / "emodb" / "mfcc.parquet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("data")
    results = [RESULTS / "what_kind_of_ear.parquet", RESULTS / "trust.parquet"]
    export_results.write(made, results, [TABLE])
    return made


def test_a_record_is_what_a_chapter_computes(folder):
    experiment = Experiment("campplus", protocol="random-clip")
    sums = run([experiment], study="what_kind_of_ear")[experiment]
    scores = evaluation.score(sums)
    records = json.loads((folder / "metrics.json").read_text())
    [age] = [
        r for r in records
        if r["experiment"] == identity(experiment) and r["measure"] == "age_rmse"
    ]  # fmt: skip
    for end in ("value", "low", "high"):
        assert age[end] == pytest.approx(scores.loc["age_rmse", end], abs=1e-6)
    assert age["clips"] == 7435 and age["speakers"] == 91 and age["seeds"] == 3
    assert age["chapters"] == ["10_what_kind_of_ear"]
    assert age["experiment"] in json.loads((folder / "experiments.json").read_text())


def test_csv_and_json_hold_the_same(folder):
    records = json.loads((folder / "metrics.json").read_text())
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(records) == 4 * len(evaluation.METRICS)
    assert [float(row["value"]) for row in rows] == [record["value"] for record in records]


def test_a_task_that_an_experiment_leaves_out_has_no_record(tmp_path):
    measures = {
        experiment: {r["measure"].split("_")[0] for r in records}
        for experiment, records in _by_experiment(export_results.records(RESULTS / "joint.parquet"))
    }
    assert {frozenset(tasks) for tasks in measures.values()} >= {
        frozenset({"age"}), frozenset({"emotion", "gender"}),
        frozenset({"age", "emotion", "gender"}),
    }  # fmt: skip


def _by_experiment(records):
    found = {}
    for record in records:
        found.setdefault(record["experiment"], []).append(record)
    return found.items()


def test_the_crate_describes_every_file(folder):
    crate = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    by_id = {entity["@id"]: entity for entity in crate}
    assert by_id["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    parts = {part["@id"] for part in by_id["./"]["hasPart"]}
    assert parts == {file.name for file in folder.iterdir()} - {"ro-crate-metadata.json"}
    for name in parts:
        assert by_id[name]["sha256"] == store.sha256(folder / name)


def test_a_loader_of_data_sets_finds_measures_and_vectors(folder):
    found = json.loads((folder / "croissant.json").read_text())
    files = {file["@id"]: file for file in found["distribution"]}
    assert files["metrics.csv"]["sha256"] == store.sha256(folder / "metrics.csv")
    assert files["features/emodb/mfcc.parquet"]["sha256"] == store.sha256(TABLE)
    measures, vectors = found["recordSet"]
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert [field["name"] for field in measures["field"]] == header.split(",")
    clip, embedding = vectors["field"]
    assert clip["dataType"] == "sc:Text"
    width = store.read_table(TABLE).columns["embedding"].shape[1]
    assert embedding["isArray"] and embedding["arrayShape"] == str(width)
