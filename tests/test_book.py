"""The book builds without a warning from the notebooks as they are committed."""

import ast
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

import persona
from persona import corpora
from persona.labels import EMOTIONS
from persona.study import chapter
from persona.study.chapter import FINDINGS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import entrance  # noqa: E402
import persona_book  # noqa: E402
import weight  # noqa: E402

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


@pytest.mark.slow
def test_every_address_within_the_book_leads_somewhere(built):
    """But to results as data and to the page that listens, which `make book` adds."""
    ids, found = {}, []
    for file in set(built.rglob("*.html")) - set((built / "_static").rglob("*")):
        text = file.read_text(encoding="utf-8")
        ids[file.resolve()] = set(re.findall(r'\bid="([^"]+)"', text))
        tags = re.findall(r"<(?:a|link|img|script|audio|source)\b[^>]*>", text)
        named = re.findall(r'\s(?:href|src)="([^"]+)"', "".join(tags))
        found += [(file, unescape(at)) for at in named]
    inner = [(file, at) for file, at in found if not re.match(r"[a-z]+:|data/|listen/", at)]
    assert len(inner) > 2000
    for file, at in inner:
        path, _, anchor = unquote(at).partition("#")
        target = (file.parent / path.split("?")[0]).resolve() if path else file.resolve()
        assert target.exists(), (file, at)
        assert not anchor or target.suffix != ".html" or anchor in ids[target], (file, at)


@pytest.mark.slow
def test_the_address_of_the_book_is_its_first_page_and_titles_say_what_pages_are(built):
    titles = {
        page: re.findall(r"<title>([^<]+)</title>", (built / f"{page}.html").read_text())
        for page in ("index", *chapters())
    }
    assert all(len(title) == 1 for title in titles.values())
    assert titles["index"] == titles[TOC["root"]] != titles["hear"]
    assert "PERSONA &#8212; PERSONA" not in str(titles)
    assert len({title[0] for title in titles.values()}) == len(titles) - 1
    page = (built / "index.html").read_text()
    assert 'property="og:title"' in page and 'href="hear.html' in page and "Refresh" not in page


def test_the_pages_whose_words_search_knows_are_there():
    words = yaml.safe_load((ROOT / "book" / "_search.yml").read_text())
    assert set(words) <= {re.sub(r"^(.*/)?(\d+_)?", "", page) for page in chapters()}


def test_the_first_pages_addresses_hold_from_the_root(tmp_path):
    (tmp_path / "notebooks").mkdir()
    links = ["01_a.html#b", "../c.html?d", "#here", "https://e.org/f", "../", "../_images/g.png"]
    body = "".join(f'<a href="{link}">x</a>' for link in links)
    (tmp_path / "notebooks" / "00_p.html").write_text(f'<html data-content_root="../">{body}')
    entrance.open_at_the_root(tmp_path, "notebooks/00_p")
    page = (tmp_path / "index.html").read_text()
    assert 'data-content_root="./"' in page
    assert re.findall(r'href="([^"]+)"', page) == [
        "notebooks/01_a.html#b", "c.html?d", "#here", "https://e.org/f", "./", "_images/g.png",
    ]  # fmt: skip


def test_a_link_that_a_notebook_computes_leads_to_the_page():
    pages = {"notebooks/05_paper_table", "limits"}
    hrefs = ["05_paper_table", "05_paper_table#head", "../limits", "https://x.org/limits", "no"]
    body = "".join(f'<a href="{href}">there</a>' for href in hrefs)
    found = re.findall(r'href="([^"]+)"', persona_book.linked(body, "notebooks/00_persona", pages))
    assert found == [
        "05_paper_table.html", "05_paper_table.html#head", "../limits.html", *hrefs[3:]
    ]  # fmt: skip


@pytest.mark.slow
def test_every_page_has_a_description_of_its_own_and_says_what_made_it(built):
    found = {}
    for page in chapters():
        text = (built / f"{page}.html").read_text(encoding="utf-8")
        found[page] = re.findall(r'<meta name="description" content="([^"]+)"', text)
        assert f"Version {persona.__version__} of " in text, "version, date and commit"
        assert 'property="og:title"' in text
        assert "launch-buttons" not in text and "source-repository-button" not in text
        assert "/discussions" not in text, "an address that is not known"
    assert all(len(one) == 1 and 20 < len(one[0]) <= 220 for one in found.values()), found
    assert len({one[0] for one in found.values()}) == len(found)


@pytest.mark.slow
def test_a_book_of_three_pages_has_buttons_a_sitemap_equations_and_a_limit_of_weight(
    tmp_path, monkeypatch
):
    shutil.copytree(ROOT / "book", tmp_path, dirs_exist_ok=True)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "17_app.ipynb", tmp_path / "notebooks")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "_search.yml").write_text("sum: [adding up]\n")
    toc = "format: jb-book\nroot: notebooks/17_app\nchapters:\n- file: glossary\n- file: sum\n"
    (tmp_path / "_toc.yml").write_text(toc)
    for name in ("one.png", "two.png"):  # noise packs to nothing less
        noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
        plt.imsave(tmp_path / name, noise)
    (tmp_path / "sum.md").write_text(
        "# A sum\n\nOf $x_i$ this is\n\n$$\\sum_i x_i$$\n\n![one](one.png) ![two](two.png)\n"
    )
    monkeypatch.setenv("PERSONA_REPOSITORY", "https://github.com/someone/persona")
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "--quiet", tmp_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert re.findall(r"(\w+) weighs 1\.\d+ MB compressed", done.stderr) == ["sum"]
    pages = tmp_path / "_build" / "html"
    chapter_, glossary = (
        (pages / name).read_text() for name in ("notebooks/17_app.html", "glossary.html")
    )
    there = "https://github.com/someone/persona"
    for address in (
        there,
        f"{there}/edit/main/notebooks/17_app.ipynb",
        "https://mybinder.org/v2/gh/someone/persona/main?urlpath=lab/tree/notebooks/17_app.ipynb",
        "https://colab.research.google.com/github/someone/persona/blob/main/notebooks/17_app.ipynb",
    ):
        assert f'href="{address}"' in chapter_, address
    assert f'href="{there}/edit/main/book/glossary.md"' in glossary
    assert f'href="{there}/discussions"' in glossary
    assert "https://someone.github.io/persona/_static/card.png" in glossary
    equations = (pages / "sum.html").read_text()
    assert equations.count("<math ") == 2 and "MathJax" not in equations
    sitemap = (pages / "sitemap.xml").read_text()
    assert "<loc>https://someone.github.io/persona/notebooks/17_app.html</loc>" in sitemap


@pytest.mark.slow
def test_a_page_loads_little_and_the_icons_that_it_shows(built):
    assert (built / "_static" / "scripts" / "fontawesome.js").stat().st_size < 150_000
    icons = (built / "_static" / "scripts" / "fontawesome.js").read_text(encoding="utf-8")
    for icon in ("circle-half-stroke", "bars", "download", "magnifying-glass"):
        assert re.search(rf'[{{,]"?{icon}"?:\[', icons)
    assert "monero:" not in icons
    for page in chapters():
        assert weight.weigh(built / f"{page}.html") < 400_000  # figures are not run here


def test_sounds_are_files_that_wait_until_they_are_played(tmp_path):
    (tmp_path / "notebooks").mkdir()
    page = tmp_path / "notebooks" / "a.html"
    held = "data:audio/x-wav;base64,QUJD"
    page.write_text(f'<audio controls><source src="{held}" type="x"></audio><audio src="{held}">')
    weight.put_sounds_apart(tmp_path)
    [sound] = (tmp_path / "_sounds").iterdir()
    assert sound.read_bytes() == b"ABC" and sound.suffix == ".wav"
    text = page.read_text()
    assert text.count(f'src="../_sounds/{sound.name}"') == text.count('preload="none"') == 2


@pytest.mark.slow
def test_the_model_card_and_the_datasheet_state_what_ships(built):
    card = json.loads((ROOT / "data" / "models" / "default" / "card.json").read_text())
    page = unescape((built / "model_card.html").read_text(encoding="utf-8"))
    for line in card["limits"] + card["uses"]["refused"]:
        assert line in page
    value = card["evaluation"]["metrics"]["emotion_accuracy"]["value"]
    assert f"{100 * value:.1f} [" in page
    sheet = (built / "datasheet.html").read_text(encoding="utf-8")
    for clips in (ROOT / "data").glob("*/clips.csv"):
        made_by = json.loads(clips.with_name("provenance.json").read_text())
        assert made_by["fingerprint"] in sheet


@pytest.mark.slow
def test_the_api_explains_parameters_as_a_list_and_prints_no_markup(built):
    page = (built / "api.html").read_text(encoding="utf-8")
    assert re.search(
        r'<li><p><code[^>]*><span class="pre">representation</span></code>: a fea', page
    )
    text = re.sub(r"<[^>]+>", "", page)
    for left in (" : at most", "``", ":py:", "----"):
        assert left not in text


def test_the_apps_chapter_states_the_cards_measures_with_their_intervals():
    notebook = json.loads((ROOT / "notebooks" / "17_app.ipynb").read_text(encoding="utf-8"))
    sources = ("".join(cell["source"]) for cell in notebook["cells"])
    named, _, table = next(s for s in sources if "unseen actors" in s and "METRICS" in s).partition(
        "\npd."
    )
    names = {"card": json.loads((ROOT / "data/models/default/card.json").read_text()), "pd": pd}
    exec("from persona.study.terms import METRICS, interval, number\n" + named, names)
    shown = eval(f"pd.{table}", names)
    of = names["card"]["evaluation"]["metrics"]["age_rmse"]
    expected = f"{of['value']:.1f} [{of['low']:.1f}, {of['high']:.1f}]"
    assert shown.loc["age RMSE, years", "unseen actors"] == expected


def test_the_contents_give_every_chapter_a_question_and_minutes():
    rows = chapter.contents().data.splitlines()[2:]
    assert len(rows) == sum(name.startswith("notebooks/") for name in chapters()) - 1
    for row in rows:
        assert re.fullmatch(
            r"\| \[.+\]\(\d\d_\w+\) \| [A-Z][^{]+\? \| [1-9] \| [1-9]\d* \|", row
        ), row


def test_the_first_page_cites_as_the_citation_file_does():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    page = (ROOT / "notebooks" / "00_persona.ipynb").read_text()
    for field in ("title", "version", "license"):
        assert f"{{{cited[field]}}}" in page


def test_the_first_pages_answer_is_four_sentences_with_seven_numbers_at_most():
    notebook = json.loads((ROOT / "notebooks" / "00_persona.ipynb").read_text(encoding="utf-8"))
    sources = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    source = next(source for source in sources if "chapter.closing(" in source)
    [answer] = [
        node.args[0] for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "chapter.closing"
    ]  # fmt: skip
    parts = list(ast.iter_child_nodes(answer))
    computed = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
    words = "".join(part.value for part in parts if isinstance(part, ast.Constant))
    numbers = [value for value in computed if not isinstance(value, ast.IfExp)]
    typed = re.findall(r"\d+", re.sub(r"\]\([^)]*\)", "", words))
    assert len(numbers) + len(typed) <= 7
    assert len(re.findall(r"[.](?: |$)", words)) == 4


def test_the_readme_lists_the_finding_of_every_chapter_that_has_one():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = readme.partition("<!-- findings")[2].partition("<!-- /findings")[0]
    numbers = re.findall(r"^(\d)\. [A-Z]", listed, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(FINDINGS) + 1)]


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
    best = prose("notebooks/11_best.ipynb")
    assert f"the ages and genders of the {len(others)} people of" in best
    assert "half of whom are children" in best
    assert (others["age"] < 18).mean() == pytest.approx(0.5, abs=0.02)

    germans = people("emodb")["age"]
    assert len(germans) == 10
    assert f"aged {germans.min()} to {germans.max()}" in prose(
        "notebooks/13_outside_the_studio.ipynb"
    )


@pytest.mark.parametrize(("folder", "clips"), [("listening", 8), ("six", 12)])
def test_the_clips_to_guess_are_recordings_of_the_corpus_and_small(folder, clips):
    files = sorted((ROOT / "data" / folder).glob("*.flac"))
    official = corpora.load("crema-d").clips().set_index("clip")["wav_sha256"]
    assert len(files) == clips
    for file in files:
        samples, rate = soundfile.read(file, dtype="int16")
        with io.BytesIO() as wav:
            soundfile.write(wav, samples, rate, format="WAV", subtype="PCM_16")
            assert hashlib.sha256(wav.getvalue()).hexdigest() == official[file.stem]
        assert file.stat().st_size < 60_000


def test_the_first_chapter_plays_one_sentence_by_two_actors_in_all_six_emotions():
    clips = corpora.load("crema-d").clips().set_index("clip")
    played = clips.loc[sorted(file.stem for file in (ROOT / "data" / "six").glob("*.flac"))]
    assert set(played["sentence"]) == {"IEO"}
    assert played.groupby("speaker")["emotion"].apply(set).tolist() == [set(EMOTIONS)] * 2
    people = played.drop_duplicates("speaker").sort_values("age", ascending=False)
    told = [
        f"a {'woman' if p.gender == 'female' else 'man'} of {p.age}" for p in people.itertuples()
    ]
    page = (ROOT / "notebooks" / "01_voice.ipynb").read_text(encoding="utf-8")
    assert ", ".join(told) in page
