"""A chapter is one notebook: parameters, experiments declared in a cell, a run, a comparison."""

import json
from pathlib import Path

import nbformat
import papermill
import pytest
import toys

CELLS = (
    "from persona.study import chapter\nchapter.opening()",
    "seeds = [0]  # deals of the folds\ntrain = False  # True: compute",
    """
import json
import toys  # registers the toy corpus and its representation
from persona.experiment import Experiment
from persona.run import run
from persona.study import compare, estimators
from persona.study.comparison import value
from persona.study.wording import changes
""",
    """
def halved(embeddings):
    return embeddings[:, :6]

whole = Experiment("toy", corpus="toy", seeds=seeds).but(batch_size=8, epochs=40)
emotions = whole.but(transform=halved, label="without gender and age")
lookup = Experiment("toy", corpus="toy", seeds=seeds, estimator=estimators.recognised)
results = run([whole, emotions, lookup], study="toy", train=train, jobs=1)
""",
    """
table = compare({"half - whole": (results[emotions], results[whole])}, draws=200)
found = [value(results[e], "gender_accuracy") for e in (whole, emotions)]
print(json.dumps({"gender": found, "changes": changes(table)}))
chapter.closing("half is less.")
""",
)


@pytest.fixture
def chapter(tmp_path, monkeypatch) -> Path:
    """A chapter that nothing but its notebook knows of, and a feature table for it."""
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    toys.write_features(toys.Toy())
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, CELLS)))
    notebook.cells[1].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, tmp_path / "chapter.ipynb")
    yield tmp_path / "chapter.ipynb"


def answer(notebook: Path, **parameters) -> dict:
    out = notebook.with_name("out.ipynb")
    done = papermill.execute_notebook(notebook, out, parameters=parameters, progress_bar=False)
    [shown] = done.cells[0].outputs  # computed last, kept with the notebook under its first cell
    assert shown.data["text/markdown"] == "**In short:** half is less."
    return json.loads(done.cells[-1].outputs[0].text)


@pytest.mark.slow
def test_a_toy_chapter_is_one_notebook(chapter):
    computed = answer(chapter, train=True, seeds=[0])
    whole, without = computed["gender"]
    assert whole > 0.8 and without < whole - 0.2
    assert "(half - whole)" in computed["changes"]
    assert answer(chapter, seeds=[0]) == computed  # read, with functions of another process
