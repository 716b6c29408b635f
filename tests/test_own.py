"""A model of one's own recordings: any emotions, any tasks, speakers kept apart."""

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import toys  # noqa: F401, which registers the toy representation
from made_voices import CLASSES, table, voice
from toy_model import CLIP

from persona import cli, corpora, features, representations
from persona.errors import CorpusError, PersonaError
from persona.labels import EMOTIONS, emotion_classes
from persona.model.card import WEIGHTS
from persona.model.predictor import Predictor
from persona.own import evaluate, synonyms, voices
from persona.own import train as own
from persona.own.heard import heard
from persona.training import Settings

SETTINGS = Settings(epochs=2, patience=0, hidden=(8,), schedule="one-cycle")


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))


def train(path: str, out, settings=SETTINGS, **options) -> Predictor:
    return own.train(path, out, settings, representation=["toy"], jobs=1, **options)


def relabelled(path: str, change) -> str:
    """The table with emotions that a function of a clip's name and its emotion gives."""
    rows = pd.read_csv(path)
    rows["emotion"] = [change(*row) for row in zip(rows["file"], rows["emotion"], strict=True)]
    rows.to_csv(path, index=False)
    return path


def quieten(folder, names) -> None:
    """Noise in the place of voices."""
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).normal(0, 0.05, 24_000)
        soundfile.write(folder / name, noise, 16_000)


def test_emotion_classes_are_those_of_the_labels():
    assert emotion_classes(["b", None, "a", float("nan"), "b"]) == ("a", "b")
    assert emotion_classes([None]) == EMOTIONS


def test_two_tables_of_one_name_have_two_feature_tables(tmp_path):
    first, second = (tmp_path / part / "mine.csv" for part in "ab")
    assert corpora.key(first) != corpora.key(second)
    assert corpora.key(first).startswith("mine-") and corpora.key("crema-d") == "crema-d"


class TestTraining:
    def test_makes_a_model_of_other_emotions_from_files_alone(self, tmp_path):
        path = table(tmp_path / "audio")
        predictor = train(path, tmp_path / "model")
        card = predictor.card
        assert card["tasks"] == {"emotion": list(CLASSES), "gender": ["female", "male"], "age": []}
        assert card["evaluation"]["protocol"].startswith("speaker-disjoint")
        metrics, constant = (card["evaluation"][key] for key in ("metrics", "constant"))
        assert set(metrics) == set(constant) >= {"emotion_uar", "gender_uar", "age_rmse"}
        assert card["data"]["speakers"] == 6 and card["age_interval"]["level"] == 0.8
        assert list(card["evaluation"]["by_voice"]) == ["alone", "others", "own"]
        assert any("their own voice" in line for line in own.lines(card))
        assert "age_by_person" in card["evaluation"]
        assert str(tmp_path) not in json.dumps(card), "a card is shared: it names no folder"
        answer = predictor.predict(CLIP)
        assert tuple(answer.emotion) == CLASSES
        assert sum(answer.emotion.values()) == pytest.approx(1)
        again = Predictor.load(tmp_path / "model").model.networks()
        assert again.networks[0].emotion.out_features == 3

    def test_does_not_extract_twice(self, tmp_path, monkeypatch):
        path = table(tmp_path / "audio")
        train(path, tmp_path / "model")
        monkeypatch.setattr(features, "extract", lambda *_, **__: pytest.fail("extracted again"))
        train(path, tmp_path / "model")

    def test_leaves_no_model_whose_card_is_not_whole(self, tmp_path, monkeypatch):
        def stop(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(voices, "held_out", stop)
        with pytest.raises(KeyboardInterrupt):
            train(table(tmp_path / "audio"), tmp_path / "model")
        assert not (tmp_path / "model").exists()

    def test_leaves_out_what_has_no_labels(self, tmp_path, capsys):
        path = table(tmp_path / "audio", gender=False, age=False)
        predictor = train(path, tmp_path / "model")
        card = predictor.card
        assert list(card["tasks"]) == ["emotion"] and card["age_interval"] == {}
        assert all(name.startswith("emotion") for name in card["evaluation"]["metrics"])
        assert "It does not answer age: no clip has a label." in card["limits"]
        answer = predictor.predict(CLIP)
        assert answer.gender is answer.age is answer.age_low is None
        assert answer.to_dict()["timeline"][0]["gender"] is None
        for form in ([], ["--csv"], ["--json"]):
            words = ["predict", str(CLIP), "--model", str(tmp_path / "model")]
            assert cli.main([*words, *form, "--textgrid", str(tmp_path)]) == 0
        out = capsys.readouterr().out
        assert "file,seconds,speech_seconds,bored,irate,warm,female" in out

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda clip, emotion: "warm", "all labels are warm"),
            (lambda clip, emotion: emotion if clip < "4" else "", "4 speakers have a label"),
            (lambda clip, emotion: "warm" if clip < "1" else "", "all labels are warm"),
            (lambda clip, emotion: "", "no clip has a label"),
        ],
    )
    def test_leaves_out_emotions_that_cannot_be_learnt_beside_what_can(self, tmp_path, change, why):
        """As many classes as the table has, and no more, leave its networks; none is answered."""
        path = relabelled(table(tmp_path / "audio"), change)
        predictor = train(path, tmp_path / "model")
        assert any(f"It does not answer emotion: {why}" in s for s in predictor.card["limits"])
        answer = predictor.predict(CLIP)
        assert answer.emotion is answer.trust is None and answer.age and answer.gender
        report = evaluate.evaluate(predictor, corpora.load(path), jobs=1)
        assert {name.split("_")[0] for name in report["metrics"]} == {"gender", "age"}
        start = str(tmp_path / "model")
        other = table(tmp_path / "other", seed=1000, each=5)
        assert "emotion" in train(other, tmp_path / "second", start=start).card["tasks"]

    def test_on_recordings_in_which_nobody_speaks_is_said_with_their_number(self, tmp_path):
        path = table(tmp_path / "audio")
        quieten(tmp_path / "audio", ["0-0.wav", "1-1.wav", "5-5.wav"])
        said = [s for s in train(path, tmp_path / "m").card["limits"] if "no speech" in s]
        assert len(said) == 1 and said[0].split(" of ")[0].startswith("In ")
        assert int(said[0].split()[1]) >= 3  # in some of the made voices none is found either

    def test_on_recordings_in_none_of_which_anybody_speaks_is_refused(self, tmp_path):
        path = table(tmp_path / "audio")
        quieten(tmp_path / "audio", [f"{s}-{n}.wav" for s in range(6) for n in range(6)])
        with pytest.raises(CorpusError, match="In all of the 36 recordings no speech was found"):
            train(path, tmp_path / "model")

    def test_says_whether_copies_were_looked_for(self, tmp_path):
        card = train(table(tmp_path / "audio"), tmp_path / "model").card
        assert any("nobody looked" in line for line in card["limits"])

    def test_answers_age_alone(self, tmp_path):
        path = table(tmp_path / "audio", emotions=None, gender=False)
        predictor = train(path, tmp_path / "model")
        answer = predictor.predict(CLIP, at_least=0.9)
        assert list(predictor.card["tasks"]) == ["age"]
        assert answer.emotion is answer.trust is None and answer.age > 0

    def test_of_too_few_speakers_is_refused_or_said_on_the_card(self, tmp_path):
        path = table(tmp_path / "audio", speakers=3)
        with pytest.raises(CorpusError, match=r"3 speakers: .* takes 5 or more"):
            train(path, tmp_path / "model")
        card = train(path, tmp_path / "model", shared_speakers=True).card
        assert card["evaluation"]["protocol"].startswith("random-clip")
        assert any("say nothing of a new voice" in line for line in card["limits"])

    def test_of_missing_audio_is_refused_before_anything_is_done(self, tmp_path):
        path = table(tmp_path / "audio")
        (tmp_path / "audio" / "0-0.wav").unlink()
        with pytest.raises(CorpusError, match=r"1 clip missing .0-0.wav.*persona corpus check"):
            train(path, tmp_path / "model")

    def test_goes_on_from_a_model_of_other_emotions(self, tmp_path):
        first = train(table(tmp_path / "audio"), tmp_path / "model")
        path = table(tmp_path / "other", seed=1000, each=5, emotions=("warm", "new", "irate"))
        further = partial(
            own.continued, model=str(tmp_path / "model"), sha256=first.card["sha256"][WEIGHTS]
        )
        (before,), (after,) = first.model.networks().networks, further(("irate", "new", "warm"))
        assert torch.equal(after.emotion.weight[[0, 2]], before.emotion.weight[[1, 2]])
        assert not after.emotion.weight[1].any()
        card = train(path, tmp_path / "second", start=str(tmp_path / "model")).card
        assert card["tasks"]["emotion"] == ["irate", "new", "warm"]
        assert any("went on from those of the model model" in line for line in card["limits"])
        second, heard_before = Predictor.load(tmp_path / "second"), tmp_path / "audio" / "mine.csv"
        assert len(heard(second, corpora.load(heard_before), jobs=1)) == 36
        assert str(tmp_path) not in json.dumps(card)
        with pytest.raises(CorpusError, match=r"trained on 36 of these recordings .0-0\.wav"):
            train(str(tmp_path / "audio" / "mine.csv"), tmp_path, start=str(tmp_path / "model"))

    def test_goes_on_from_a_model_whose_networks_listen_to_parts(self, tmp_path):
        parts = [[0, 2], [1, 3], [0, 3]]
        train(table(tmp_path / "audio"), tmp_path / "model", replace(SETTINGS, parts=parts))
        path = table(tmp_path / "other", seed=1000, each=5)
        card = train(path, tmp_path / "second", start=str(tmp_path / "model")).card
        assert (card["network"]["networks"], card["network"]["parts"]) == (3, parts)

    def test_of_an_emotion_called_like_a_column_of_answers_is_refused(self, tmp_path):
        path = table(tmp_path / "audio", emotions=("age", "irate", "warm"))
        with pytest.raises(CorpusError, match="An emotion is called 'age'"):
            train(path, tmp_path / "model")

    def test_of_labels_that_teach_nothing_is_refused(self, tmp_path):
        path = table(tmp_path / "audio", emotions=None, gender=False, age=False)
        with pytest.raises(CorpusError, match="nothing to learn"):
            train(path, tmp_path / "model")


class TestEvaluation:
    @pytest.fixture
    def predictor(self, tmp_path) -> Predictor:
        return train(table(tmp_path / "audio"), tmp_path / "model")

    def test_of_another_corpus_states_the_labels_map_and_the_constant(self, predictor, tmp_path):
        other = table(
            tmp_path / "other", seed=1000, speakers=3, emotions=("irate", "fed up", "odd")
        )
        report = evaluate.evaluate(
            predictor, corpora.load(other), {"fed up": "bored", "odd": None}, jobs=1
        )
        assert report["map"] == {"fed up": "bored", "odd": None} and report["left_out"] == {
            "odd": 6
        }
        assert report["speakers"] == 3 and report["trained_on"] == []
        assert report["constant"]["emotion_uar"] == pytest.approx(0.5)
        assert 0 <= report["age_interval"]["value"] <= 1
        text = "\n".join(evaluate.lines(report))
        assert "fed up as bored, odd as left out; left out of emotion: odd (6)" in text
        assert list(report["by_voice"]) == ["alone", "others", "own"]
        assert (
            report["by_voice"]["alone"]["value"] == report["metrics"]["emotion_accuracy"]["value"]
        )
        assert report["age_by_person"]["value"] <= report["metrics"]["age_rmse"]["value"]
        assert "by what it is read against" in text and "Age of a person" in text
        assert "--map" not in text

    def test_of_other_emotions_says_that_a_map_is_missing(self, predictor, tmp_path):
        other = table(tmp_path / "other", seed=1000, speakers=2, emotions=("a", "b", "c"))
        report = evaluate.evaluate(predictor, corpora.load(other), jobs=1)
        assert report["left_out"] == {"a": 4, "b": 4, "c": 4}
        assert any("No emotion is one of the model's: --map" in s for s in evaluate.lines(report))

    def test_agrees_with_what_the_model_answers(self, predictor, tmp_path):
        """By the road of training, the heads' answers are those to the table's embeddings."""
        corpus = corpora.load(tmp_path / "audio" / "mine.csv")
        x = features.read("toy", str(corpus.path)).at(corpus.clips()["clip"])
        assert (evaluate.embed(predictor, corpus, jobs=1) == x).all()
        rows = evaluate.predict(predictor, x, corpus.clips()["clip"])
        assert rows["age"].to_numpy() == pytest.approx(predictor.heads.run(x).age, abs=1e-4)
        report = evaluate.evaluate(predictor, corpus, jobs=1)
        assert len(report["trained_on"]) == report["clips"]
        assert "these very recordings: this is no test" in "\n".join(evaluate.lines(report))

    def test_runs_a_network_once_for_all_its_layers(self, tmp_path):
        corpus = corpora.load(table(tmp_path / "audio", speakers=1, each=2))
        layers = [
            representations.load("campplus", layer=name).provenance()
            for name in ("block3", "block2")
        ]
        model = SimpleNamespace(card={"representations": layers})
        (name,) = own.tables(model, corpus, jobs=1)
        both = features.read(name, str(corpus.path)).embeddings
        for layer in ("block3", "block2"):
            features.extract(corpus, "campplus", name=layer, layer=layer, jobs=1)
        apart = features.read("block3+block2", str(corpus.path)).embeddings
        assert (both == apart).all()

    def test_of_clips_some_of_which_were_trained_on_says_which(self, predictor, tmp_path):
        """Whatever they are called there, and in whichever lossless container."""
        path = table(tmp_path / "other", speakers=3, seed=1000)
        for name in ("0-0.wav", "2-5.wav"):
            (tmp_path / "other" / name).write_bytes((tmp_path / "audio" / "1-2.wav").read_bytes())
        samples, rate = soundfile.read(tmp_path / "audio" / "4-4.wav")
        soundfile.write(tmp_path / "other" / "1-1.wav", samples, rate, format="FLAC")
        report = evaluate.evaluate(predictor, corpora.load(path), jobs=1)
        assert report["trained_on"] == ["0-0.wav", "1-1.wav", "2-5.wav"]
        text = "\n".join(evaluate.lines(report))
        assert "trained on 3 of these clips (0-0.wav, 1-1.wav and 2-5.wav)" in text

    def test_of_the_corpora_of_the_model_that_ships_is_said_clip_by_clip(self, tmp_path):
        """CREMA-D's hashes are known without its audio, and its copies are made of its clips."""
        shipped = Predictor.load()
        clip = tmp_path / "a.flac"
        clip.write_bytes(CLIP.read_bytes())
        soundfile.write(tmp_path / "b.wav", voice(120, 1, 7), 16_000)
        (tmp_path / "t.csv").write_text("file,speaker\na.flac,x\nb.wav,y\n")
        assert heard(shipped, corpora.load(tmp_path / "t.csv"), jobs=1) == ["a.flac"]
        whole = corpora.load("crema-d")
        assert len(heard(shipped, whole)) == len(whole.clips())
        copies = corpora.load("crema-d-degraded-test")
        assert len(heard(shipped, copies)) == len(copies.clips())
        assert heard(shipped, corpora.load("emodb")) == []

    def test_of_recordings_in_which_nobody_speaks_says_so(self, predictor, tmp_path):
        path = table(tmp_path / "other", speakers=2, seed=1000)
        quieten(tmp_path / "other", ["0-0.wav"])
        report = evaluate.evaluate(predictor, corpora.load(path), jobs=1)
        assert any("no speech was found" in line for line in evaluate.lines(report))

    @pytest.mark.parametrize(
        ("mapping", "words"),
        [({"odd": "warm"}, "no clip is labelled"), ({"irate": "furious"}, "no class of the model")],
    )
    def test_by_a_map_that_does_not_fit_is_refused(self, predictor, tmp_path, mapping, words):
        corpus = corpora.load(tmp_path / "audio" / "mine.csv")
        with pytest.raises(PersonaError, match=words):
            evaluate.evaluate(predictor, corpus, mapping)

    def test_of_labels_in_another_language_suggests_a_map_and_scores_no_single_class(
        self, predictor, tmp_path
    ):
        """One class that is left would be recalled wholly by whoever names it."""
        other = table(tmp_path / "other", seed=1000, speakers=3, emotions=("warm", "Bored", "heiß"))
        report = evaluate.evaluate(predictor, corpora.load(other), jobs=1)
        assert not any(name.startswith("emotion") for name in report["metrics"])
        assert report["suggested_map"] == {"Bored": "bored", "heiß": None}
        text = "\n".join(evaluate.lines(report))
        assert (
            "only warm is there" in text and "A guess at --map" in text and '"heiß": null' in text
        )

    def test_of_a_label_that_is_none_goes_by_the_map(self, predictor, tmp_path):
        path = table(tmp_path / "other", seed=1000, speakers=3, emotions=("irate", "None", "warm"))
        with pytest.raises(CorpusError, match="emotion 'None'"):
            corpora.load(path)
        (tmp_path / "map.json").write_text('{"None": "bored"}', "utf-8-sig")
        words = ["evaluate", "--corpus", path, "--model", str(tmp_path / "model")]
        assert cli.main([*words, "--map", str(tmp_path / "map.json"), "--jobs", "1"]) == 0

    @pytest.mark.parametrize(
        ("label", "meant"),
        [
            ("Freude", "happy"), ("wütend", "anger"), ("Ärger", "anger"), ("Angst", "fear"),
            ("traurig", "sad"), ("Ekel", "disgust"), ("colère", "anger"), ("TRISTE", "sad"),
            ("Happiness", "happy"), ("ang", "anger"), ("miedo", "fear"), ("felice", "happy"),
            ("neutro", "neutral"), ("生气", "anger"), ("surprise", None),
        ],
    )  # fmt: skip
    def test_guesses_what_a_label_means(self, label, meant):
        assert synonyms.guesses([label], EMOTIONS) == {label: meant}

    @pytest.mark.parametrize("text", ["[1]", "{", '{"a": 1}'])
    def test_by_a_file_that_is_no_map_is_one_sentence(self, tmp_path, text):
        (tmp_path / "map.json").write_text(text)
        with pytest.raises(PersonaError, match="map"):
            evaluate.read_map(tmp_path / "map.json")
