"""The book builds without a warning from the notebooks as they are committed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("book")
    shutil.copytree(ROOT / "book", source, dirs_exist_ok=True)
    shutil.copytree(ROOT / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "_config.yml", source)
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "--warningiserror", "--keep-going", source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return source / "_build" / "html"


@pytest.mark.slow
def test_it_builds_without_a_warning_and_has_a_page_for_every_chapter(built):
    for chapter in chapters():
        assert (built / f"{chapter}.html").exists()


@pytest.mark.slow
def test_the_bibliography_lists_the_papers_references(built):
    page = (built / "bibliography.html").read_text()
    for title in ("Overlapped speech", "X-vectors", "shout intensity", "SUPERB", "WavLM"):
        assert title in page
