"""The folder of the page that listens: what is in it, and what it is made from."""

import dataclasses
import gzip
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from persona import cli, corpora
from persona.app import offered, page
from persona.audio import quality, speech, windows
from persona.corpora.crema_d import SENTENCES
from persona.errors import ModelError, StoreError
from persona.keeping import store
from persona.labels import EMOTIONS, GENDERS
from persona.model import predictor
from persona.model.heads import INPUT, USUAL
from persona.people import diarisation


@pytest.fixture(scope="module")
def model():
    return predictor.Predictor.load().model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    runtime = tmp_path_factory.mktemp("runtime")
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (runtime / name).write_bytes(name.encode())
    made = tmp_path_factory.mktemp("page")
    assert page.write(made, runtime) == sum(file.stat().st_size for file in made.glob("*.gz"))
    return made


def bundle(folder: Path) -> dict:
    return json.loads((folder / "bundle.json").read_text())


def run(graph: bytes, outputs: list[str], inputs: dict) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(graph).run(outputs, inputs)


def test_every_file_that_is_named_is_there_whole(folder):
    files = bundle(folder)["files"].values()
    assert all((folder / file["name"]).stat().st_size == file["bytes"] for file in files)
    clips = bundle(folder)["offered"]["clips"]
    assert all((folder / "clips" / clip["name"]).is_file() for clip in clips)
    runtime = folder / bundle(folder)["files"]["runtime"]["name"]
    assert gzip.decompress(runtime.read_bytes()) == b"ort-wasm-simd-threaded.wasm"


def test_clips_are_offered_by_emotion_with_what_was_meant_and_said(folder):
    clips = bundle(folder)["offered"]["clips"]
    meant = [clip["emotion"] for clip in clips]
    assert len(clips) == 8 and meant == sorted(meant) and set(meant) == set(EMOTIONS)
    labels = corpora.load("crema-d").clips().set_index("clip")
    for clip in clips:
        label = labels.loc[clip["name"].removesuffix(".flac")]
        assert clip["emotion"] == label["emotion"]
        assert clip["sentence"] == SENTENCES[label["sentence"]]


def test_sentences_and_what_answers_are_worth_are_of_the_model_that_ships(folder):
    besides = bundle(folder)["offered"]
    assert len(besides["sentences"]) == 12
    assert besides["worth"] == store.read_json(offered.WORTH)
    assert list(offered.offered("another model's")) == ["clips"]


def test_where_no_recording_ships_there_is_a_page_without_clips(monkeypatch, tmp_path):
    monkeypatch.setattr(offered.store, "shipped", lambda: tmp_path)
    assert offered.clips() == []


def test_modules_import_only_what_is_beside_them(folder):
    for module in folder.glob("*.js"):
        for line in module.read_text().splitlines():
            if " from " in line and line.startswith(("import", "export")):
                assert (folder / line.split('"')[1]).is_file(), (module.name, line)


def test_a_service_worker_keeps_every_part_but_the_graphs(folder):
    parts = set(bundle(folder)["parts"])
    assert all((folder / part).is_file() for part in parts)
    kept = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert kept - parts == {"index.html", *(f["name"] for f in bundle(folder)["files"].values())}


def test_constants_are_those_of_their_modules(folder):
    constants = bundle(folder)["constants"]
    assert constants["speech"]["PHRASE"] == windows.PHRASE
    assert constants["speech"]["NARROW"] == quality.NARROW
    assert constants["diarisation"]["SURE"] == diarisation.SURE
    assert bundle(folder)["fingerprint"] == predictor.Predictor.load().fingerprint


def test_every_constant_that_a_module_names_is_exported(folder):
    """Another is undefined in the browser, where what is compared with it is false and silent."""
    parts = bundle(folder)["constants"]
    of = {"audio.js": ("C", "audio"), "speech.js": ("C", "speech"), "page.js": ("limits", "audio"),
          "channels.js": ("C", "channels")}  # fmt: skip
    for file, (called, part) in of.items():
        named = set(re.findall(rf"\b{called}\.([A-Z_]+)", (folder / file).read_text()))
        assert named and named <= set(parts[part]), (file, named - set(parts[part]))
    named = set(re.findall(r"\bC\.([A-Z]+)", (folder / "live.js").read_text()))
    assert named == {*parts["live"], "PAUSE"}
    for file in ("predictor.js", "summary.js"):
        named = re.findall(rf"\b({'|'.join(parts)})\.([A-Z_]+)", (folder / file).read_text())
        assert named and all(name in parts[part] for part, name in named)
    taken = re.findall(r"const \{ ([A-Z, ]+) \} = this.C;|, \{ ([A-Z]+) \}\) \{",
                       (folder / "diarisation.js").read_text())  # fmt: skip
    assert len(taken) == 2
    assert {n for one in taken for n in ", ".join(one).split(", ") if n} <= {*parts["diarisation"]}


def test_a_recording_ends_before_any_of_it_is_sure(folder):
    """So live.js hears nothing of it a second time before the end."""
    longest = re.search(r"const LONGEST = (\d+);", (folder / "intake.js").read_text())
    assert longest and int(longest[1]) < speech.STRETCH


def test_the_cut_graph_answers_as_the_whole(folder):
    from persona.representations.campplus import CAMPPlus

    layers = bundle(folder)["layers"]
    cut = gzip.decompress((folder / "campplus.gz").read_bytes())
    waveform = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    waveform *= np.float32(0.1 / np.sqrt(np.mean(waveform**2, dtype=float)))
    *found, frames = run(cut, [*layers, "frames"], {"waveform": waveform})
    vector, expected = CAMPPlus("+".join(layers)).heard(waveform)
    assert np.abs(np.concatenate(found, axis=1)[0] - vector).max() <= 1
    assert frames[0] == pytest.approx(expected, abs=1e-3)


def test_heads_in_half_precision_answer_nearly_alike(folder, model):
    halved = gzip.decompress((folder / "heads.gz").read_bytes())
    assert len(halved) < 0.6 * len(model.heads)
    size = model.card["network"]["dimension"]
    codes = np.random.default_rng(0).integers(-12, 13, (50, size)).astype(np.float32)
    asked = ["emotion", "gender", "age", USUAL]
    pairs = [run(graph, asked, {INPUT: codes}) for graph in (halved, model.heads)]
    emotion, gender, age, usual = (np.abs(a - b).max() for a, b in zip(*pairs, strict=True))
    assert max(emotion, gender) < 0.005
    assert max(age, usual) < 0.1


def test_without_a_runtime_it_says_how_to_get_one(tmp_path):
    with pytest.raises(StoreError, match=r"onnxruntime-web is not in .*npm ci"):
        page.write(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_command_says_the_same_and_fails(tmp_path, capsys):
    assert cli.main(["page", str(tmp_path / "out"), "--runtime", str(tmp_path)]) == 1
    assert "so there is no page that listens" in capsys.readouterr().err


def test_other_emotions_are_named_and_a_model_of_two_tasks_is_refused(monkeypatch, tmp_path, model):
    tasks = {"emotion": ["joy", "grief"], "gender": GENDERS, "age": []}
    other = dataclasses.replace(model, card=model.card | {"tasks": tasks})
    monkeypatch.setattr(
        predictor.Predictor, "load", lambda _: SimpleNamespace(model=other, fingerprint="")
    )
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (tmp_path / name).touch()
    page.write(tmp_path / "out", tmp_path)
    assert bundle(tmp_path / "out")["emotions"] == ["joy", "grief"]
    assert all("grief" in of for of in bundle(tmp_path / "out")["columns"].values())
    tasks.pop("gender")
    with pytest.raises(ModelError, match="all three"):
        page.write(tmp_path / "out", tmp_path)


def test_another_representation_is_refused(monkeypatch, tmp_path, model):
    import toy_model

    toy_model.register(monkeypatch)
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (tmp_path / name).touch()
    toy_model.model().save(tmp_path / "toy")
    with pytest.raises(ModelError, match="listens through CAM"):
        page.write(tmp_path / "out", tmp_path, str(tmp_path / "toy"))
