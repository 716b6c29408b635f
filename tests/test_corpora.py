"""Corpora are of one kind: loaded by name, fingerprinted over their audio, added as one file."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from crema_d_samples import REPOSITORY, save_wav, sha256

from persona import corpora
from persona.corpora import Problem
from persona.errors import CorpusError
from persona.labels import EMOTIONS, GENDERS

TOY = '''
from pathlib import Path

import pandas as pd

from persona.corpora import Corpus


class Toy(Corpus):
    """Three clips of two people."""

    name, title = "toy", "Toy"

    def __init__(self, folder):
        self.folder = Path(folder)

    def clips(self):
        rows = [("a", "x", "female", 30, "sad"), ("b", "x", "female", 30, None),
                ("c", "y", "male", 40, "happy")]
        return pd.DataFrame(rows, columns=["clip", "speaker", "gender", "age", "emotion"])

    def file(self, clip):
        from persona.errors import CorpusError

        if (file := self.folder / f"{clip}.wav").is_file():
            return file
        raise CorpusError(f"{file} is missing.")
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A corpus of one file, and of one line in the registry."""
    (tmp_path / "toy_corpus.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(corpora.REGISTRY, "toy", "toy_corpus:Toy")
    for number, clip in enumerate("abc"):
        save_wav(tmp_path / f"{clip}.wav", np.arange(4000) * (number + 1))
    return corpora.load("toy", folder=tmp_path)


def test_a_corpus_is_added_as_one_file_and_one_line(toy, tmp_path):
    lines = "".join(f"{c} {sha256((tmp_path / f'{c}.wav').read_bytes())}\n" for c in "abc")
    assert toy.fingerprint() == sha256(lines.encode())
    assert toy.problems() == []
    assert toy.waveform("b").dtype == np.float32
    assert np.array_equal(toy.waveform("b") * 32768, np.arange(4000) * 2)


def test_other_audio_under_the_same_names_has_another_fingerprint(toy, tmp_path):
    before = toy.fingerprint()
    save_wav(tmp_path / "c.wav", np.arange(4000))
    assert toy.fingerprint() != before


def test_damaged_clips_are_named_before_missing_ones(toy, tmp_path):
    (tmp_path / "a.wav").unlink()
    (tmp_path / "c.wav").write_text("not audio")
    assert toy.problems() == [Problem("c", "corrupt"), Problem("a", "missing")]
    assert toy.problems(["b"]) == []
    assert corpora.summary(toy.problems()) == "1 clip damaged (c: corrupt), 1 clip missing (a)"


def test_many_problems_are_counted_and_the_first_named():
    said = corpora.summary([Problem(str(n), "missing") for n in range(1234)])
    assert said == "1,234 clips missing (0, 1, 2, 3, 4, ...)"


@pytest.mark.parametrize("name", corpora.NAMES)
def test_every_corpus_that_ships_is_a_table_of_labelled_clips(name):
    corpus = corpora.load(name)
    clips = corpus.clips()
    assert corpus.name == name
    assert {"clip", *corpora.LABELS} <= set(clips)
    assert clips["clip"].is_monotonic_increasing and clips["clip"].is_unique
    assert set(clips["gender"]) == set(GENDERS)
    assert set(clips["emotion"].dropna()) <= set(EMOTIONS)
    assert clips["age"].between(5, 80).all()
    assert set(clips["clip"]) <= set(corpus.digests())
    assert all(len(digest) == 64 for digest in corpus.digests().values())
    assert corpus.licence != "unknown" != corpus.citation


def test_a_table_that_was_handed_out_can_be_changed():
    corpus = corpora.load("emodb")
    clips = corpus.clips()
    clips["age"] = 0
    assert (corpus.clips()["age"] > 0).all()


def test_a_table_of_ones_own_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("file,speaker\na.wav,x\n")
    assert isinstance(corpora.load(path), corpora.Table)
    assert corpora.load(str(path)).clips()["clip"].tolist() == ["a.wav"]


def test_an_unknown_corpus_or_parameter_is_one_sentence():
    with pytest.raises(CorpusError, match="no corpus 'cremad': use one of crema-d, emodb"):
        corpora.load("cremad")
    with pytest.raises(CorpusError, match=r"emodb cannot be loaded like this: .*'policy'"):
        corpora.load("emodb", policy="clean")


def test_a_published_corpus_says_where_its_audio_is_looked_for(tmp_path):
    with pytest.raises(CorpusError, match=rf"03a01Fa of EmoDB is not in {tmp_path}: name the"):
        corpora.load("emodb", folder=tmp_path).waveform("03a01Fa")


def test_missing_labels_are_missing_values():
    assert corpora.load("speechocean762").clips()["emotion"].isna().all()
    assert not pd.isna(corpora.load("crema-d").clips()).any(axis=None)


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'pandas', 'pooch', 'requests', 'soundfile', 'av', 'scipy', 'tqdm', 'torch'}"
    code = f"import sys, persona.corpora; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
