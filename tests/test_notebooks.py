"""Every chapter has one shape, teaches in open cells, and refuses wrong parameters."""

import ast
import json
import re
from pathlib import Path

import papermill
import pytest
import yaml
from papermill.exceptions import PapermillExecutionError

from persona.errors import PersonaError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHAPTERS = [notebook for notebook in NOTEBOOKS if not notebook.stem.endswith("_app")]


def cells(notebook: Path) -> list[dict]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def code(notebook: Path) -> list[dict]:
    return [cell for cell in cells(notebook) if cell["cell_type"] == "code"]


def every_source(notebook: Path) -> str:
    return "\n".join(source(cell) for cell in code(notebook))


TEACHES = re.compile(
    r"\bExperiment\(|\b(run|fit|recipe|compare|folds\.split)\(|^(from|import) ", re.M
)
"""What declares, computes or compares stays open."""

SHOWS = re.compile(r"(figures|figures_data|chapter)\.|(differences|score|display|Markdown|pivot)$")


def only_shows(text: str) -> bool:
    """Whether a cell draws its own figure, or does nothing but call what shows."""
    statements = ast.parse(text).body
    calls = [s.value for s in statements if isinstance(s, ast.Expr)]
    shown = [isinstance(c, ast.Call) and SHOWS.match(ast.unparse(c.func)) for c in calls]
    return "subplots(" in text or (len(calls) == len(statements) and all(shown))


def test_every_notebook_is_a_page_of_the_book_and_every_page_is_there():
    contents = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    pages = [contents["root"], *(c["file"] for part in contents["parts"] for c in part["chapters"])]
    named = {page.removeprefix("notebooks/") for page in pages if page.startswith("notebooks/")}
    assert named == {notebook.stem for notebook in NOTEBOOKS}
    others = [page for page in pages if not page.startswith("notebooks/")]
    assert all((ROOT / "book" / f"{page}.md").is_file() for page in others)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
class TestEveryNotebook:
    def test_is_committed_without_outputs(self, notebook):
        assert not any(cell["outputs"] or cell["execution_count"] for cell in code(notebook))

    def test_runs_on_the_kernel_named_python3(self, notebook):
        metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
        assert metadata["kernelspec"]["name"] == "python3"

    def test_uses_nothing_private_of_the_package(self, notebook):
        text = every_source(notebook)
        assert not re.search(r"import[^\n]*\b_\w+|\b[a-z_]+\._(?!_)[a-z]\w*", text)


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda notebook: notebook.stem)
class TestEveryChapter:
    def test_opens_with_its_title_and_question(self, notebook):
        first = cells(notebook)[0]
        assert first["cell_type"] == "markdown" and source(first).startswith("# ")
        assert re.fullmatch(r"\*\*Question\.\*\* .+\?", source(first).split("\n\n")[-1], re.DOTALL)

    def test_shows_its_answer_right_under_the_question(self, notebook):
        assert "chapter.opening()" in source(cells(notebook)[1])
        assert tags(cells(notebook)[1]) == ["remove-input"]
        assert every_source(notebook).count("\nchapter.closing(") == 1

    def test_has_one_cell_of_parameters_each_explained(self, notebook):
        [cell] = [cell for cell in code(notebook) if "parameters" in tags(cell)]
        assert code(notebook)[1] == cell
        for line in source(cell).splitlines():
            assert re.fullmatch(r"\w+ = [^#]+  # .+", line), line

    def test_takes_representations_as_a_list(self, notebook):
        parameters = papermill.inspect_notebook(str(notebook))
        if "representations" in parameters:
            assert isinstance(ast.literal_eval(parameters["representations"]["default"]), list)

    def test_says_how_it_is_rerun(self, notebook):
        assert re.search(rf'chapter\.rerun_box\("{notebook.stem}"', every_source(notebook))

    def test_folds_cells_that_only_draw_or_print_and_no_cell_that_teaches(self, notebook):
        for cell in code(notebook):
            if "hide-input" in tags(cell):
                assert not TEACHES.search(source(cell)), source(cell)
            elif "remove-input" not in tags(cell):
                assert not only_shows(source(cell)), source(cell)

    def test_describes_every_figure_for_those_who_cannot_see_it(self, notebook):
        for cell in code(notebook):
            if re.search(r"\bfigures(_\w+)?\.\w+\(", source(cell)):
                alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
                assert len(alt) > 40, source(cell)

    def test_types_no_result_into_its_prose(self, notebook):
        prose = (source(c) for c in cells(notebook) if c["cell_type"] == "markdown")
        results = re.compile(r"\d[\d.,]*(?: %| points| times as)")
        for line in "\n".join(prose).splitlines():
            defined = re.search(r"\{cite|95 %|50 %|confidence", line)
            assert defined or not results.search(line), line

    def test_has_the_predictor_that_ignores_the_voice_in_every_table_of_values(self, notebook):
        tables = [source(c) for c in code(notebook) if re.search(r"(?<![.\w])score\(", source(c))]
        assert all(re.search(r"ignor|values \|", table) for table in tables)


@pytest.mark.parametrize("notebook", CHAPTERS[1:], ids=lambda notebook: notebook.stem)
class TestEveryChapterBehindTheFirstPage:
    def test_has_its_limits_in_a_box(self, notebook):
        [limits] = [source(c) for c in cells(notebook) if source(c).startswith("## Limits")]
        assert re.fullmatch(r"## Limits\n\n:::\{admonition\} [^\n]+\n.+\n:::", limits, re.DOTALL)

    def test_computes_its_answer_before_its_limits(self, notebook):
        text = "\n".join(map(source, cells(notebook)))
        assert text.index("\nchapter.closing(") < text.index("## Limits")

    def test_ends_in_two_exercises_each_with_what_will_be_seen(self, notebook):
        last = source(cells(notebook)[-1])
        assert last.startswith("## What to try")
        folded = "<details><summary>What you will see</summary>\n\n.+?\n\n</details>"
        assert len(re.findall(rf"\*\*\d\.\*\* .+?\n\n{folded}", last, re.DOTALL)) == 2


def wrong_parameters():
    """A value of each wrong kind for every parameter of every chapter, by its default."""
    kinds = {
        "names": ([], ["typo"], "typo", [["mfcc"]], 3, None),
        "numbers": ([], [-1], ["0"], 1.5, None),
        "number": (0, -1, 2.5, "3", [3], True, None),
        "word": ("typo", "", ["typo"], None),
    }
    for notebook in CHAPTERS:
        for name, found in papermill.inspect_notebook(str(notebook)).items():
            default = ast.literal_eval(found["default"])
            if name == "train":  # `run` refuses it, see the tests of experiments
                continue
            if isinstance(default, list):
                kind = "numbers" if isinstance(default[0], int) else "names"
            else:
                kind = "number" if isinstance(default, int) else "word"
            for value in kinds[kind]:
                yield pytest.param(notebook, name, value, id=f"{notebook.stem}-{name}-{value!r}")


@pytest.mark.parametrize(("notebook", "name", "value"), wrong_parameters())
def test_a_wrong_parameter_is_one_sentence_before_anything_is_trained(notebook, name, value):
    opening, parameters, first = code(notebook)[:3]
    given: dict = {}
    exec(source(opening), given)
    exec(source(parameters), given)
    given[name] = value
    with pytest.raises(PersonaError) as error:
        exec(source(first), given)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
    assert repr(value).strip("[]'") in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chapter", "wrong", "sentence"),
    [
        ("04_training", {"architectures": ["rnn"]}, "There is no architecture 'rnn'"),
        ("04_training", {"architecture": ["fcn"]}, "There is no parameter 'architecture'"),
        ("17_app", {"recordings": "/nonexistent"}, "The parameter recordings holds '/nonexistent'"),
    ],
)
def test_a_wrong_parameter_of_papermill_reaches_the_check(tmp_path, chapter, wrong, sentence):
    with pytest.raises(PapermillExecutionError) as error:
        papermill.execute_notebook(
            ROOT / "notebooks" / f"{chapter}.ipynb", tmp_path / "out.ipynb", parameters=wrong,
            progress_bar=False,
        )  # fmt: skip
    assert error.value.ename == "PersonaError"
    assert sentence in error.value.evalue


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_misspelt_name_of_a_parameter_is_refused_by_the_first_cell_behind_it(notebook):
    """By `chapter.checked`, which looks at what papermill injected."""
    parameters = next(c for c in code(notebook) if "parameters" in tags(c))
    assert "chapter.checked(" in source(code(notebook)[code(notebook).index(parameters) + 1])


@pytest.mark.slow
def test_representations_side_by_side_and_layers_pass_every_cell_of_their_chapter(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PERSONA_QUICK", "1")
    papermill.execute_notebook(
        ROOT / "notebooks" / "03_from_file_to_vector.ipynb", tmp_path / "out.ipynb",
        parameters={"representations": ["dvector+mfcc", "dvector_layers"]}, progress_bar=False,
    )  # fmt: skip
