"""The app as someone without a keyboard, a mouse, or a large screen meets it."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress

import pytest
import toy_model
from conftest import CLIP, PATIENCE, ROOT, serving

pytest.importorskip("playwright.sync_api")
from listening import recorded, saved
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect

from persona import Predictor

expect.set_options(timeout=PATIENCE)
PRESS = {"name": "Make predictions"}


@pytest.fixture
def page(chromium: Browser, voila: str) -> Iterator[Page]:
    opened = open_app(chromium, voila)
    yield opened
    opened.context.close()


def open_app(
    chromium: Browser, address: str, width: int = 1000, height: int = 1300, **options
) -> Page:
    # As high as the pictures are to be: Voilà's page scrolls inside itself.
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    expect(page.get_by_label("Choose audio files")).to_be_attached()
    return page


def choose(page: Page, *files) -> None:
    page.get_by_label("Choose audio files").set_input_files([str(file) for file in files])


def press(page: Page) -> None:
    page.get_by_role("button", **PRESS).click()


def assert_three_answers(page: Page, which: int = 0) -> None:
    section = page.locator(".persona section").nth(which)
    emotions = "anger|disgust|fear|happy|neutral|sad"
    expect(section.locator(".persona-emotion")).to_have_text(re.compile(rf"({emotions}) \d+%"))
    expect(section.locator(".persona-gender")).to_have_text(re.compile(r"(fe)?male \d+%"))
    expect(section.locator(".persona-age")).to_have_text(re.compile(r"\d+ years"))
    expect(section.locator(".persona-words")).to_have_text(re.compile(
        rf"(Undecided between ({emotions}) and ({emotions})|Most like ({emotions})), "
        r"(probably a (wo)?man|unclear whether a woman or a man), probably \d+ to \d+ years old\."
    ))  # fmt: skip


def test_what_make_app_opens_is_the_app_without_a_chapter_before_it(chromium, voila, pictures):
    """`voila` comes first: the settings that `make app` gives are set by it."""
    served = re.search(r"voila (\S+)", (ROOT / "Makefile").read_text())[1]
    with serving(["voila", str(ROOT / served)], "/", pictures / "voila_app.log") as address:
        page = open_app(chromium, address, width=1400, height=900)
        box = page.get_by_role("button", **PRESS).bounding_box()
        assert box["y"] + box["height"] < 600
        page.screenshot(path=pictures / "make_app.png")
        page.context.close()


def test_nothing_can_be_predicted_before_there_is_audio(page):
    expect(page.get_by_role("button", **PRESS)).to_be_disabled()


def test_a_wav_an_mp3_a_broken_file_and_a_good_one_again(page, recordings, pictures):
    choose(page, recordings["wav"], recordings["mp3"])
    expect(page.get_by_label("Play hello.mp3")).to_be_visible()
    press(page)
    expect(page.locator(".persona section")).to_have_count(2)
    assert_three_answers(page, 0)
    assert_three_answers(page, 1)
    page.screenshot(path=pictures / "light.png")

    choose(page, recordings["broken"])
    press(page)
    sentence = page.get_by_role("alert")
    expect(sentence).to_have_text(re.compile(r'^"broken\.wav" cannot be decoded.*\.$'))
    page.screenshot(path=pictures / "broken.png")

    choose(page, recordings["wav"])
    press(page)
    expect(page.locator(".persona section")).to_have_count(3)
    assert_three_answers(page, 0)


def test_a_flac_is_answered(chromium, voila, pictures):
    page = open_app(chromium, voila, width=800, height=900)
    choose(page, CLIP)
    press(page)
    assert_three_answers(page)
    page.locator(".persona-intake").scroll_into_view_if_needed()
    page.screenshot(path=pictures / "app.png")
    page.context.close()


def test_a_name_with_markup_is_shown_and_never_interpreted(page, recordings, pictures):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    choose(page, recordings["odd"])
    press(page)
    assert_three_answers(page)
    expect(page.locator(".persona section h3")).to_have_text(recordings["odd"].name)
    expect(page.locator(".persona-name")).to_have_text(recordings["odd"].name)
    assert not dialogs
    assert page.locator(".persona img").count() == 0


def test_20_mb_arrive_whole_and_have_a_timeline(page, recordings, pictures):
    assert recordings["large"].stat().st_size > 19e6
    choose(page, recordings["large"])
    press(page)
    assert_three_answers(page)
    expect(page.locator(".persona section")).to_contain_text("3 min 27 s")
    expect(page.get_by_label(re.compile("^happy over time"))).to_be_visible()
    page.screenshot(path=pictures / "long.png")


def test_a_second_choice_during_an_upload_wins(page, recordings):
    choose(page, recordings["large"])
    choose(page, recordings["wav"])
    press(page)
    answer = page.locator(".persona section")
    with suppress(TimeoutError):  # of a press that came between the two, which has nothing to do
        answer.wait_for(timeout=30_000)
    if not answer.count():
        press(page)
    expect(answer).to_have_count(1)
    expect(page.locator(".persona section h3")).to_have_text("hello.wav")


def test_too_large_a_choice_leaves_nothing_armed(page, recordings):
    choose(page, recordings["wav"])
    expect(page.get_by_role("button", **PRESS)).to_be_enabled()
    choose(page, recordings["huge"])
    expect(page.locator(".persona-said")).to_contain_text("over the limit of 200 MB")
    expect(page.get_by_role("button", **PRESS)).to_be_disabled()
    expect(page.locator(".persona-players li")).to_have_count(0)


def test_a_file_is_dropped(page, recordings):
    page.locator(".persona-intake").evaluate(
        """(at, bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.wav"));
            at.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }""",
        list(recordings["wav"].read_bytes()),
    )
    expect(page.get_by_label("Play dropped.wav")).to_be_visible()
    press(page)
    assert_three_answers(page)


def test_an_example_is_clicked_played_and_saved(page, pictures):
    page.get_by_text("clips of actors").click()
    page.get_by_role("button", name="Predict happy: I would like a new alarm clock.").click()
    assert_three_answers(page)
    page.locator("audio").evaluate("audio => { audio.muted = true; return audio.play(); }")
    expect(page.locator(".persona-playing .persona-at").first).to_be_visible()
    for kind in ("CSV", "JSON"):
        with page.expect_download() as started:
            page.get_by_text(f"Save as {kind}").click()
        saved = started.value.path().read_text()
        assert "happy" in saved and "1055_IWL_HAP_XX.flac" in saved
    page.screenshot(path=pictures / "example.png")


def test_what_is_cleared_is_gone_from_the_kernel_too(page, recordings):
    for _ in range(2):
        choose(page, recordings["wav"])
        press(page)
        assert_three_answers(page)
        expect(page.locator(".persona section")).to_have_count(1)
        expect(page.locator(".persona-status")).to_contain_text("Done in")
        page.get_by_role("button", name="Clear all").click()
        page.get_by_role("dialog").get_by_role("button", name="Clear all").click()
        expect(page.locator(".persona section")).to_have_count(0)


def test_keyboard_alone_records_and_sees_it_answered(page, pictures):
    """Tab to Record, and press it twice."""
    page.context.grant_permissions(["microphone"])
    tab_to(page, "Record")
    page.keyboard.press("Enter")
    expect(page.locator(".persona-turn").first).to_be_visible()
    page.screenshot(path=pictures / "recording.png")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Play recording.wav")).to_be_visible()
    assert_three_answers(page)


def test_what_is_recorded_is_answered_as_python_does(page, monkeypatch, tmp_path):
    """While it is made and at the end, by the kernel."""
    page.context.grant_permissions(["microphone"])
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".persona-turn.persona-open")).to_be_visible()
    expect(page.get_by_label("While you speak")).to_contain_text(re.compile(r"\d+ years"))
    page.get_by_role("button", name="Stop recording").click()
    assert_three_answers(page)
    (row,) = saved(page)
    toy_model.register(monkeypatch)
    right = Predictor(toy_model.model()).predict(recorded(page, tmp_path)).to_dict()
    assert row == {"file": "recording.wav", **json.loads(json.dumps(right))}


def tab_to(page: Page, text: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"Tab never reaches {text!r}")


def test_a_microphone_that_is_refused_is_one_sentence(page):
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".persona-said")).to_have_text(
        re.compile("^The microphone was not allowed")
    )


def test_a_phone_of_390_px_needs_no_sideways_scrolling(chromium, voila, recordings, pictures):
    page = open_app(chromium, voila, width=390)
    choose(page, recordings["large"])
    press(page)
    assert_three_answers(page)
    page.screenshot(path=pictures / "phone.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for share in page.locator(".persona-share").all():
        box = share.bounding_box()
        assert box and box["x"] + box["width"] <= 390
        assert share.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    page.context.close()


def test_it_asks_no_other_host_has_no_dead_link_and_a_name(chromium, voila):
    page = chromium.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    asked, refused = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: refused.append(answer.url) if answer.status > 399 else None)
    page.goto(voila)
    expect(page.get_by_label("Choose audio files")).to_be_attached()
    assert all(url.startswith((voila, voila.replace("http", "ws"), "data:", "blob:"))
               for url in asked)  # fmt: skip
    assert not refused
    expect(page.get_by_text("Best", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Best")).to_have_count(0)
    expect(page).to_have_title("PERSONA")
    page.context.close()


def test_a_visit_leaves_no_kernel_behind(chromium, voila):
    page = open_app(chromium, voila)
    config = page.locator("#jupyter-config-data").text_content()
    kernel = f"{voila}api/kernels/{json.loads(config)['kernelId']}"
    assert page.request.get(kernel).status == 200
    page.goto("about:blank")
    for _ in range(90):
        if page.request.get(kernel).status == 404:
            break
        page.wait_for_timeout(1000)
    assert page.request.get(kernel).status == 404
    page.context.close()


def test_dark_is_readable(chromium, voila, recordings, pictures):
    page = open_app(chromium, voila, color_scheme="dark")
    choose(page, recordings["wav"])
    press(page)
    assert_three_answers(page)
    page.screenshot(path=pictures / "dark.png")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", paper)[:3])) < 64
    assert contrast(page, ".persona-emotion") > 4.5
    assert contrast(page, ".persona-not-for") > 4.5
    page.context.close()


def contrast(page: Page, selector: str) -> float:
    """WCAG contrast of the text with the first opaque background behind it."""
    colours = page.locator(selector).first.evaluate(
        """found => {
            const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const ink = numbers(getComputedStyle(found).color);
            for (let at = found; at; at = at.parentElement) {
                const paper = numbers(getComputedStyle(at).backgroundColor);
                if (paper.length === 3 || paper[3] > 0) return [ink, paper];
            }
            return [ink, [255, 255, 255]];
        }"""
    )

    def luminance(rgb: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                  for c in (value / 255 for value in rgb[:3])]  # fmt: skip
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


def scroll_up_to(page: Page, wanted: Locator) -> None:
    """JupyterLab follows the running cell and takes cells out of sight out of the page."""
    for _ in range(PATIENCE // 1000):
        page.locator(".jp-WindowedPanel-outer").first.evaluate("panel => panel.scrollTop = 0")
        if wanted.count():
            return
        page.wait_for_timeout(1000)
    raise AssertionError(f"{wanted} never came")


def test_the_same_in_jupyterlab(chromium, notebook, recordings, pictures, tmp_path):
    shutil.copy(notebook, tmp_path)  # JupyterLab saves what it shows
    command = ["jupyter", "lab", "--IdentityProvider.token=", "--allow-root",
               f"--ServerApp.root_dir={tmp_path}"]  # fmt: skip
    with serving(command, "/lab/tree/app.ipynb?reset", pictures / "lab.log") as address:
        page = chromium.new_context(viewport={"width": 1200, "height": 1400}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible()
        expect(page.get_by_text(re.compile(r"\| Idle$"))).to_be_visible()  # else nothing runs
        page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
        scroll_up_to(page, page.get_by_label("Choose audio files"))
        choose(page, recordings["wav"])
        press(page)
        assert_three_answers(page)
        page.screenshot(path=pictures / "lab.png")
        page.context.close()
