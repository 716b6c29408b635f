"""What a caller gives that does not fit is one sentence, found before anything is done."""

import numpy as np
import pytest
from http_server import CLIP

from persona import Predictor, cli
from persona.errors import AudioError, ModelError, PersonaError, StoreError
from persona.keeping import store


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load()


@pytest.mark.parametrize("given", [{"at_least": None}, {"at_least": "0.5"}, {"max_seconds": None},
                                   {"max_bytes": "1 MB"}])  # fmt: skip
def test_what_is_no_number_is_one_sentence(predictor, given):
    with pytest.raises(PersonaError, match="is no number"):
        predictor.predict(CLIP, **given)


def test_a_waveform_and_its_rate_may_be_given_apart(predictor):
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype("float32")
    for call in ((samples, 16_000), ((samples, 16_000),)):
        with pytest.raises(AudioError, match="speech"):
            predictor.predict(*call)
    with pytest.raises(AudioError, match="samples of type"):
        predictor.predict(CLIP, 16_000)


def test_a_folder_is_loaded_and_not_constructed():
    with pytest.raises(ModelError, match=r"Predictor.load\('folder'\)"):
        Predictor("folder")


@pytest.mark.parametrize("voice", ["anna", 3])
def test_what_is_no_voice_is_one_sentence(predictor, voice):
    for call in (predictor.predict, lambda *a, **k: next(predictor.predict_many([*a], **k))):
        with pytest.raises(PersonaError, match=f"{voice!r} is no voice: kept.load reads one"):
            call(CLIP, voice=voice)


@pytest.mark.parametrize(
    ("sources", "given", "words"),
    [
        (str(CLIP), {}, "is one recording: give a list"),
        (CLIP, {}, "is one recording: give a list"),
        (CLIP.read_bytes(), {}, "is one recording: give a list"),
        ([CLIP, CLIP], {"names": ["one"]}, "more or fewer names than recordings"),
        ([CLIP], {"names": ["one", "two"]}, "more or fewer names than recordings"),
        ([CLIP] * 3, {"speakers": "ann"}, "'ann' is one speaker: give a list"),
        ([CLIP], {"jobs": -1}, "-1 is no number of recordings at once"),
        ([CLIP], {"jobs": "2"}, "'2' is no number of recordings at once"),
    ],
)
def test_of_many_none_is_left_out_or_taken_apart_silently(predictor, sources, given, words):
    with pytest.raises(PersonaError, match=words):
        list(predictor.predict_many(sources, **given))


def test_what_is_no_model_is_one_sentence():
    with pytest.raises(ModelError, match="3 is no model: give a folder"):
        Predictor.load(3)


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--corpus", "mine.csv"],
        ["evaluate", "--corpus", "crema-d"],
        ["audit", "mine.csv", "--split", "fold"],
        ["corpus", "check", "mine.csv"],
    ],
)
def test_out_that_cannot_be_written_is_found_before_anything_is_done(command, tmp_path, capsys):
    """There is no such table: a sentence on it would come first."""
    (tmp_path / "file").touch()
    wrong = [tmp_path / "file" / "deeper", tmp_path / "file" if command[0] == "train" else tmp_path]
    for out in wrong:
        assert cli.main([*command, "--out", str(out)]) == 2
        sentence = capsys.readouterr().err
        assert str(out) in sentence and "file" in sentence.lower()


def test_the_variable_is_named_only_where_it_moves_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="or name a folder"):
        store.write_bytes(tmp_path / "file" / "a", b"")
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="set PERSONA_BUILD"):
        store.write_bytes(tmp_path / "file" / "a", b"")
