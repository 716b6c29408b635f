"""The book as someone with a phone meets it."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import serious_faults

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, expect


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    yield context.new_page()
    context.close()


def test_the_menu_and_the_contents_open_on_a_phone(phone, address):
    phone.goto(f"{address}/notebooks/00_persona.html")
    sidebar = phone.locator(".bd-sidebar-primary")
    chapter = sidebar.get_by_role("link", name="What is in the recordings?")
    expect(chapter).not_to_be_in_viewport()
    phone.locator(".primary-toggle:visible").tap()
    expect(chapter).to_be_in_viewport()
    phone.keyboard.press("Escape")

    phone.goto(f"{address}/notebooks/02_corpus.html")
    section = phone.locator(".bd-sidebar-secondary").get_by_role("link", name="What it holds")
    expect(section).not_to_be_in_viewport()
    phone.locator(".secondary-toggle:visible").tap()
    expect(section).to_be_in_viewport()


def test_one_switch_shows_and_hides_all_code_and_is_remembered(phone, address):
    phone.goto(f"{address}/notebooks/00_persona.html")
    code = phone.locator(".cell_input").first
    expect(code).to_be_hidden()  # the first page begins without
    phone.get_by_role("button", name="Show code").tap()
    expect(code).to_be_visible()

    def open_and_all() -> list[int]:
        opened = "details[open] > summary + .cell_input", "details > summary + .cell_input"
        return [phone.locator(f"div.cell {cells}").count() for cells in opened]

    first, second = chapters_with_folded_code(phone, address)
    phone.goto(first)
    shown, folded = open_and_all()
    assert shown == 0 < folded
    expect(code).to_be_visible()  # cells that teach are open as they are
    phone.get_by_role("button", name="Show all code").tap()
    assert open_and_all() == [folded, folded]
    phone.goto(second)
    shown, folded = open_and_all()
    assert shown == folded > 0
    phone.get_by_role("button", name="Hide code").tap()
    expect(code).to_be_hidden()
    phone.goto(first)
    expect(code).to_be_hidden()


def test_no_page_throws_an_error_asks_another_host_or_is_wider_than_a_phone(phone, address, built):
    errors, elsewhere = [], []
    phone.on("pageerror", lambda error: errors.append(str(error)))
    phone.on("request", lambda asked: elsewhere.append(asked.url))
    for page in pages(built):
        phone.goto(f"{address}/{page}")
        assert phone.evaluate("document.documentElement.scrollWidth") == 390, page
    assert not errors
    assert all(url.startswith((address, "data:", "blob:")) for url in elsewhere)


def chapters_with_folded_code(phone: Page, address: str) -> list[str]:
    phone.goto(f"{address}/index.html")
    links = phone.locator(".bd-sidebar-primary a[href*=notebooks]").evaluate_all(
        "e => e.map(a => a.href)"
    )
    return links[1:3]


def test_what_is_wider_than_the_screen_shows_that_it_goes_on_and_keys_reach_it(phone, address):
    phone.goto(f"{address}/model_card.html")
    frame = phone.locator(".persona-frame[tabindex]").first
    expect(frame).to_have_role("region")
    expect(frame).to_have_accessible_name("Table, scrolls sideways")
    expect(frame).to_have_class(re.compile("persona-more"))
    first = frame.locator("tbody .persona-first").first
    before = first.bounding_box()["x"]
    frame.focus()
    frame.evaluate("frame => frame.scrollLeft = frame.scrollWidth")
    expect(frame).not_to_have_class(re.compile("persona-more"))
    assert first.bounding_box()["x"] == pytest.approx(before, abs=1)
    phone.set_viewport_size({"width": 2400, "height": 844})
    expect(phone.locator(".persona-frame[tabindex]")).to_have_count(0)


def pages(built: Path) -> list[str]:
    """Pages of the book, not those that only list or look up."""
    every = sorted(page.relative_to(built).as_posix() for page in built.rglob("*.html"))
    others = ("_static", "index", "genindex", "search", "py-modindex")
    return [page for page in every if not page.startswith(others)]


ONE_OF_EACH_KIND = ("notebooks/00_persona.html", "notebooks/06_speakers.html", "use.html")
# What a cell puts out when it is executed, which the book of this test is not.
OUTPUTS = """() => document.querySelector("article.bd-article section").insertAdjacentHTML(
    "beforeend",
    `<div class="cell tag_remove-input"><div class="cell_output"><p>See <a href="#">this</a>
    </p></div></div><div class="cell"><div class="cell_output"><div class="output text_html">
    <a href="#">Save</a><details><summary>What it is</summary></details></div></div></div>`)"""


def test_no_page_has_a_serious_fault_of_accessibility(phone, address, built, packages):
    found = {}
    for page in pages(built):
        faults = faults_of(phone, f"{address}/{page}", packages, "light")
        if page in ONE_OF_EACH_KIND:
            faults += faults_of(phone, f"{address}/{page}", packages, "dark", "color-contrast")
        # docutils calls a list what holds bibliography entries: its markup, not ours
        if faults := [fault for fault in faults if "citation-list" not in str(fault)]:
            found[page] = faults
    assert not found


def faults_of(page: Page, address: str, packages: Path, scheme: str, *rules: str) -> list:
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    page.evaluate(OUTPUTS)
    return serious_faults(page, packages, "article.bd-article", *rules)


@pytest.mark.parametrize(
    ("word", "belongs"),
    [
        ("papermill", "use.html"),
        ("fairness", ("trust.html", "model_card.html")),
        ("how accurate", "_persona.html"),
        ("confidence interval", "method.html"),
        ("age error", "_errors.html"),
        ("microphone", "hear.html"),
        ("gpu", "use.html"),
    ],
)
def test_a_search_finds_first_where_a_word_belongs(phone, address, word, belongs):
    phone.goto(f"{address}/search.html?q={word}")
    first = phone.locator("#search-results li a").first
    expect(first).to_be_visible()
    assert first.get_attribute("href").split("#")[0].split("?")[0].endswith(belongs)
