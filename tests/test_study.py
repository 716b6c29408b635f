"""The grid the book trains, its tables, and what is said of the paper."""

import numpy as np
import pytest

from persona import evaluation, predictions, study, tables
from persona.corpora import EMOTIONS
from persona.evaluation import Sums

SPEAKERS = np.arange(8)


def sums(emotion: float, gender: float, error: float) -> Sums:
    """Every speaker has 60 clips, an emotion and gender accuracy, and ages off by `error`."""
    confusion = np.zeros((1, 8, 6, 6))
    for label in range(6):
        confusion[:, :, label, label] = 10 * emotion
        confusion[:, :, label, (label + 1) % 6] = 10 * (1 - emotion)
    genders = np.zeros((1, 8, 2, 2))
    genders[..., 0, 0] = genders[..., 1, 1] = 30 * gender
    genders[..., 0, 1] = genders[..., 1, 0] = 30 * (1 - gender)
    n, t = 60, 20 + 5.0 * SPEAKERS
    p = t + error
    age = np.stack([n * np.ones(8), n * t, n * p, n * t * t, n * p * p, n * t * p,
                    n * abs(p - t)], axis=-1)[None]  # fmt: skip
    return Sums(confusion, genders, age, SPEAKERS)


RESULTS = {
    "mfcc fcn random-clip balanced": sums(0.54, 0.97, 8),
    "mfcc fcn speaker-disjoint balanced": sums(0.44, 0.91, 14),
    "mfcc cnn random-clip balanced": sums(0.50, 0.95, 9),
    "mfcc cnn speaker-disjoint balanced": sums(0.42, 0.90, 15),
    "constant random-clip": sums(0.17, 0.53, 13),
    "constant speaker-disjoint": sums(0.17, 0.53, 13),
}


def test_the_papers_table_is_as_printed():
    paper = tables.paper().set_index(["representation", "architecture"])
    assert len(paper) == 6
    row = paper.loc[("xvector", "cnn")]
    assert row["emotion_accuracy"] == pytest.approx(0.6561)
    assert row["gender_accuracy"] == pytest.approx(0.9852)
    assert row["age_rmse"] == 8.6623


def test_a_cell_beside_the_papers_shows_both_protocols_and_what_was_not_run():
    table = tables.beside_paper(RESULTS, ["fcn", "cnn"], "balanced")
    ours = table.loc[("emotion %", "MFCC", "FCN")]
    assert ours["paper"] == "47.3"
    assert ours["ours, random clips"].startswith("54.0 [")
    assert ours["ours, unseen speakers"].startswith("44.0 [")
    assert table.loc[("age RMSE, years", "MFCC", "CNN"), "ours, unseen speakers"][:4] == "15.0"
    assert table.loc[("gender %", "WavLM", "CNN"), "ours, random clips"] == "not run here"
    assert table.loc[("gender %", "WavLM", "CNN"), "paper"] == "54.5"
    assert table.loc[("emotion %", "d-vector", "CNN"), "paper"] == "-"
    constant = table.loc[("age RMSE, years", "ignores the voice", "-"), "ours, random clips"]
    assert constant.startswith("13.0")


def test_what_is_not_run_is_listed_with_its_command_until_its_table_is_there():
    text = tables.not_run(["mfcc", "dvector", "egemaps", "wavlm"])
    assert "x-vector is not run here" in text and "WavLM" not in text
    assert "persona extract --representation xvector" in text


def test_the_paper_lies_inside_or_outside_our_interval():
    table = study.against_paper(RESULTS, "balanced")
    said = table.loc[("MFCC", "FCN")]
    assert said["emotion %"].startswith("47.3 lies below our 54.0")
    assert said["age RMSE, years"].startswith("7.3 lies below our 8.0")


def test_the_closing_sentence_follows_from_the_results():
    sentence = study.lost_on_unseen_speakers(RESULTS, "balanced")
    assert "50.0 to 54.0 % emotion" in sentence
    assert "42.0 to 44.0 %" in sentence
    assert sentence.endswith("for a new voice none of them beats saying the mean.")
    better = RESULTS | {
        f"mfcc {a} speaker-disjoint balanced": sums(0.5, 0.9, 6) for a in ("fcn", "cnn")
    }
    assert "all of them beat saying the mean" in study.lost_on_unseen_speakers(better, "balanced")
    mixed = RESULTS | {"mfcc cnn speaker-disjoint balanced": sums(0.5, 0.9, 6)}
    assert "1 of 2 beat saying the mean" in study.lost_on_unseen_speakers(mixed, "balanced")


def test_differences_are_corrected_over_all_their_rows():
    two = ("mfcc cnn random-clip balanced", "mfcc fcn random-clip balanced")
    pairs = {("MFCC", "random clips"): two, ("not", "there"): ("a", "b")}
    table = study.differences(RESULTS, pairs)
    assert len(table) == 3
    row = table.loc[("MFCC", "random clips", "emotion %")]
    assert row["difference"] == -4.0
    expected = evaluation.holm(table["p"].to_numpy(float))
    assert np.allclose(table["p, corrected"].to_numpy(float), expected)


def test_parameters_of_a_notebook_choose_the_grid_and_quick_makes_it_small():
    chosen = study.grid(["mfcc"], ["fcn"], ["random-clip"], ["balanced"], epochs=3, seeds=[7])
    assert chosen.configurations == [
        predictions.Configuration("mfcc", "fcn", "random-clip", "balanced")
    ]
    assert chosen.seeds == (7,) and chosen.settings.epochs == 3
    everything = study.grid()
    assert {"mfcc", "dvector", "egemaps"} <= set(everything.representations)
    assert len(everything.configurations) == 8 * len(everything.representations)
    quick = study.grid(quick=True)
    assert quick.settings.steps * quick.settings.epochs <= 20
    assert quick.folder != everything.folder


def test_shipped_results_cover_the_study_and_say_what_made_them():
    shipped = evaluation.read_sums(tables.results_file())
    made_by = predictions.provenance(tables.results_file())
    for configuration in study.grid(["mfcc", "dvector", "egemaps"]).configurations:
        counts = shipped[str(configuration)]
        assert counts.age.shape[:2] == (3, 91)
        assert counts.age[0, :, 0].sum() == 7435
        assert made_by[str(configuration)]["seeds"] == [0, 1, 2]
    assert len(EMOTIONS) == counts.emotion.shape[-1]
