"""The book builds without a warning from the notebooks as they are committed."""

import re
from pathlib import Path

import pytest
import yaml

from persona import corpora
from persona.study import chapter
from persona.study.shipping import FINDINGS

ROOT = Path(__file__).resolve().parent.parent
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())


def chapters() -> list[str]:
    return [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]


def test_the_papers_nine_references_are_in_the_bibliography():
    keys = re.findall(r"@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text())
    assert {
        "yang2021", "lebourdais2022", "abdulsatar2019", "zazo2018", "chen2022", "snyder2018",
        "phukan2023", "fukumori2023", "cao2014",
    } <= set(keys)  # fmt: skip


@pytest.mark.slow
def test_it_builds_without_a_warning_and_has_a_page_for_every_chapter(built):
    for page in chapters():
        assert (built / f"{page}.html").exists()


@pytest.mark.slow
def test_the_bibliography_lists_the_papers_references(built):
    page = (built / "bibliography.html").read_text()
    for title in ("Overlapped speech", "X-vectors", "shout intensity", "SUPERB", "WavLM"):
        assert title in page


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(built):
    kinds = 'script|img|iframe|audio|link rel="(?:stylesheet|icon)"'
    loads = rf'<(?:{kinds})[^>]+(?:src|href)="(?:https?:)?//'
    for page in built.rglob("*.html"):
        assert not re.findall(loads, page.read_text()), page


@pytest.mark.slow
def test_the_first_page_opens_three_doors(built):
    page = (built / "notebooks" / "00_persona.html").read_text()
    doors = re.findall(r'sd-stretched-link[^>]*href="([^"]+)"', page)
    assert len(doors) == 3
    for door in doors:
        file, _, anchor = door.partition("#")
        assert (built / "notebooks" / file).exists()
        assert not anchor or f'id="{anchor}"' in page


def test_the_contents_give_every_chapter_a_question_and_minutes():
    rows = chapter.contents().data.splitlines()[2:]
    assert len(rows) == sum(name.startswith("notebooks/") for name in chapters()) - 1
    for row in rows:
        assert re.fullmatch(r"\| \[.+\]\(\d\d_\w+\) \| [A-Z][^{]+\? \| [1-9]\d* \|", row), row


def test_the_first_page_cites_as_the_citation_file_does():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    page = (ROOT / "notebooks" / "00_persona.ipynb").read_text()
    for field in ("title", "version", "license"):
        assert f"{{{cited[field]}}}" in page


def test_the_five_findings_are_five():
    assert len(FINDINGS) == 5


def test_numbers_that_prose_states_of_the_corpora_are_theirs():
    def prose(name):
        return (ROOT / name).read_text(encoding="utf-8")

    def people(corpus):
        return corpora.load(corpus).clips().drop_duplicates("speaker")

    actors, twelve = people("crema-d"), corpora.load("crema-d").clips()["sentence"].nunique()
    assert twelve == 12
    for page in ("book/limits.md", "notebooks/00_persona.ipynb"):
        assert f"{len(actors)} North American actors" in prose(page)
        assert "twelve sentences" in " ".join(prose(page).split())

    others = people("speechocean762")
    told = f"{len(others)} other people's ages and genders, half of them children"
    assert told in prose("notebooks/14_best.ipynb")
    assert (others["age"] < 18).mean() == pytest.approx(0.5, abs=0.02)

    germans = people("emodb")["age"]
    assert len(germans) == 10
    assert f"aged {germans.min()} to {germans.max()}" in prose(
        "notebooks/13_outside_the_studio.ipynb"
    )
