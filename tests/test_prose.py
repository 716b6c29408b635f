"""Prose is plain English, and what an accuracy leaves out is said where it is quoted."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "book").glob("*.md")])

HOUSE_WORDS = re.compile(
    r"\b(roads?|deals|dealt|told(?! apart)|hears|heard by|(beyond|may be) chance|in the mean"
    r"|what ships)\b"
)
"""Words that this book once used in a sense of its own."""


def cells(page: Path) -> list[dict]:
    return json.loads(page.read_text(encoding="utf-8"))["cells"]


def strings(code: str) -> list[str]:
    nodes = ast.walk(ast.parse(code))
    found = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [text for text in found if isinstance(text, str)]


def prose(page: Path) -> list[str]:
    """What a reader reads: text, sentences that cells compute, captions and alt texts."""
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8").splitlines()
    texts = []
    for cell in cells(page):
        source = "".join(cell["source"])
        texts += strings(source) if cell["cell_type"] == "code" else source.splitlines()
        texts.append(json.dumps(cell["metadata"]))
    return texts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_no_words_of_the_house(page):
    assert [text for text in prose(page) if HOUSE_WORDS.search(text)] == []


@pytest.mark.parametrize("chapter", ["00_persona", "11_best", "17_app"])
def test_who_answers_with_the_models_accuracy_says_what_new_sentences_leave_of_it(chapter):
    sources = ["".join(cell["source"]) for cell in cells(ROOT / "notebooks" / f"{chapter}.ipynb")]
    [answer] = [source for source in sources if "\nchapter.closing(" in source]
    assert "worth.sentences()" in "".join(sources) and "new_words" in answer


@pytest.mark.parametrize("page", ["book/hear.md", "book/limits.md", "notebooks/00_persona.ipynb"])
def test_what_actors_intend_is_set_against_what_people_hear(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "intend" in text and "hear" in text and "12_errors" in text
