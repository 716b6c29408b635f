"""What every chapter shares: checked parameters, the box that reruns it, the closing sentence."""

import base64
import json
import re
import shlex
import time
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from persona import representations
from persona.errors import PersonaError
from persona.keeping import store
from persona.run import Results
from persona.study import chapter


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Feature tables of MFCC and CAM++ are here, and no others."""
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    folder = tmp_path / "data" / "features" / "crema-d"
    folder.mkdir(parents=True)
    for name in ("mfcc", "campplus"):
        (folder / f"{name}.parquet").touch()


class TestParameters:
    def test_come_back_in_their_order_as_lists(self, tables):
        assert chapter.checked(
            representations="mfcc", seeds=3, epochs=20, architectures=["cnn", "fcn", "cnn"]
        ) == [["mfcc"], [3], 20, ["cnn", "fcn"]]

    def test_may_join_representations(self, tables):
        assert chapter.checked(representations=["mfcc+campplus"]) == [["mfcc+campplus"]]

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"representations": ["xyz"]}, "no representation 'xyz'; choose from campplus, mfcc."),
            ({"representations": "mfcc+xyz"}, "no representation 'xyz'"),
            ({"representations": "wavlm"}, "persona extract wavlm"),
            ({"representations": []}, "No representation is named: choose from campplus, mfcc."),
            ({"architectures": ["rnn"]}, "no architecture 'rnn'; choose from fcn, cnn."),
            ({"architectures": []}, "No architecture is named"),
            ({"protocols": "random"}, "no protocol 'random'; choose from random-clip"),
            ({"age_units": ["litral"]}, "no unit of age 'litral'; choose from deviation, year."),
            ({"corpora": ["cremad"]}, "no corpus 'cremad'; choose from crema-d"),
            ({"epochs": 0}, "epochs holds 0: give whole numbers of 1 or more."),
            ({"epochs": 2.5}, "epochs holds 2.5"),
            ({"draws": True}, "draws holds True"),
            ({"seeds": []}, "seeds is empty"),
            (
                {"recordings": "/nonexistent"},
                "holds '/nonexistent': give a folder",
            ),
            ({"recordings": False}, "recordings holds False"),
            ({"seeds": [-1]}, "seeds holds -1: give whole numbers of 0 or more."),
            ({"epochs": [20]}, "epochs holds [20]: give whole numbers of 1 or more."),
            ({"architectures": 3}, "no architecture '3'"),
            ({"protocols": [["random-clip"]]}, "no protocol \"['random-clip']\""),
            ({"representations": None}, "no representation 'None'"),
        ],
    )
    def test_that_are_wrong_are_refused_in_a_sentence(self, tables, wrong, sentence):
        with pytest.raises(PersonaError) as error:
            chapter.checked(**wrong)
        assert sentence in str(error.value)
        assert str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("injected", "refused"),
    [
        ("seeds = [3]", ""),
        ("seds = [3]", "There is no parameter 'seds'; choose from seeds, train."),
    ],
)
def test_a_name_that_papermill_injects_and_the_chapter_does_not_have_is_refused(
    monkeypatch, injected, refused
):
    cells = [
        "",
        "opening()",
        "seeds = [0]  # of folds\ntrain = False",
        f"# Parameters\n{injected}\n",
    ]
    shell = SimpleNamespace(user_ns={"In": [*cells, "chapter.checked(seeds=seeds)"]})
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    with pytest.raises(PersonaError) if refused else nullcontext() as error:
        assert chapter.checked(seeds=[3]) == [[3]]
    assert not refused or str(error.value) == refused


def test_more_than_there_are_is_refused_and_how_many_there_are_is_said():
    chapter.at_most(91, "speakers", speakers_shown=91)
    with pytest.raises(PersonaError, match=r"speakers_shown holds 100: there are 91 speakers\."):
        chapter.at_most(91, "speakers", speakers_shown=100)


def test_what_was_not_run_is_listed_with_what_helps(tables):
    lines = chapter.not_run(["mfcc"]).data.splitlines()
    assert len(lines) == len(representations.NAMES) - 1
    assert '- CAM++ was not run here: add "campplus" to `representations`' in lines[2]
    assert any("`persona corpus fetch && persona extract wavlm`" in x for x in lines)
    assert "CAM++" not in chapter.not_run().data


def test_representations_that_have_results_are_found(tables):
    with pytest.raises(PersonaError, match="no results of 'toy'"):
        chapter.has_run("toy")
    for folder, names in ((store.shipped(), ["mfcc"]), (store.made(), ["wavlm", "mfcc"])):
        file = folder / "results" / "toy.parquet"
        store.write_table(file, {"representation": np.array(names)}, {})
    assert chapter.has_run("toy") == ["mfcc", "wavlm"]


class TestTheBoxThatRerunsAChapter:
    @pytest.fixture(autouse=True)
    def notebook(self, tmp_path, monkeypatch):
        source = 'representations = ["mfcc"]  # any\nepochs = 20\ntrain = False  # compute\n'
        cell = {"cell_type": "code", "id": "a", "metadata": {"tags": ["parameters"]},
                "source": source, "outputs": [], "execution_count": None}  # fmt: skip
        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        book = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4,
                "nbformat_minor": 5}  # fmt: skip
        (tmp_path / "99_toy.ipynb").write_text(json.dumps(book))
        monkeypatch.chdir(tmp_path)

    def given(self, box: str) -> list[dict]:
        """What each line to copy sets, of the chapter that all of them name."""
        lines = [shlex.split(x[2:]) for x in box.splitlines() if x.startswith("> make rerun ")]
        assert all(words[:3] == ["make", "rerun", "CHAPTER=99_toy"] for words in lines)
        return [json.loads(words[3].removeprefix("WITH=")) if words[3:] else {} for words in lines]

    def test_reruns_what_made_the_page_and_trains_it_by_another_line(self):
        """Copied, a page that read results must not train hundreds of networks."""
        values = {"representations": ["it's"], "epochs": 20, "train": False}
        box = chapter.rerun_box("99_toy", values).data
        assert self.given(box) == [{"representations": ["it's"]}, {"train": True}]
        assert self.given(chapter.rerun_box("99_toy").data) == [{}, {"train": True}]
        box = chapter.rerun_box("99_toy", values | {"train": True}).data
        assert self.given(box) == [{"representations": ["it's"], "train": True}]

    def test_says_how_long_the_page_took_and_how_long_training_takes(self, monkeypatch):
        rows = pd.DataFrame({"architecture": ["fcn", "fcn", "cnn"], "seed": [0, 1, 0]})
        values = {"representations": ["x"], "epochs": 20, "train": False}
        values["results"] = Results(rows.assign(experiment="e"))
        monkeypatch.setattr(chapter, "_BEGAN", time.monotonic() - 200)
        box = chapter.rerun_box("99_toy", values).data
        assert "(this page took 3 minutes)" in box
        monkeypatch.setattr(chapter, "NETWORKS_A_MINUTE", {"fcn": 10, "cnn": 1})
        box = chapter.rerun_box("99_toy", values).data
        assert "(some 15 networks, 6 minutes or more on two cores)" in box

    def test_shows_meanings_defaults_and_the_values_of_this_page(self):
        box = chapter.rerun_box(
            "99_toy", {"representations": ["x"], "epochs": 2, "train": True, "unrelated": object()}
        ).data
        assert '> | `representations` | any | `["mfcc"]` | `["x"]` |' in box
        assert "unrelated" not in box
        assert "this page" not in chapter.rerun_box("99_toy").data

    def test_needs_its_notebook(self):
        with pytest.raises(PersonaError, match=r"98_toy\.ipynb is not here"):
            chapter.rerun_box("98_toy")


def test_a_table_can_be_saved_from_the_page():
    link = chapter.download(pd.DataFrame({"a": [1, 2]}, index=["x", "y"]), "values").data
    [data] = re.findall(r'download="values\.csv" href="data:text/csv;base64,([^"]+)"', link)
    assert base64.b64decode(data).decode() == ",a\nx,1\ny,2\n"


def test_the_answer_takes_the_place_that_was_kept_for_it(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda text, **how: shown.append((text.data, how))
    )
    chapter.opening()
    chapter.closing("a.", "b.", "c.")
    (empty, first), (answer, then) = shown
    assert empty == "" and answer == "**In short:** a.\n\n- b.\n- c."
    assert then == first | {"update": True}


def test_chapters_are_quick_where_the_environment_says_so(monkeypatch):
    monkeypatch.delenv("PERSONA_QUICK", raising=False)
    assert not chapter.quick()
    monkeypatch.setenv("PERSONA_QUICK", "1")
    assert chapter.quick()
