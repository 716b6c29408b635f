"""A recording, or an answer, in which something goes wrong: what was recorded is kept, and the next
press works.

The widget's front end runs on a plain page, with a kernel that answers at once or is gone.
"""

import json
from collections.abc import Iterator

import pytest
from conftest import CLIP, Site
from made_prediction import prediction

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Browser, Page, expect

from persona.app import offered, widget

KERNEL = """
const heard = new Map();
const state = { answers: [], accept: ".wav", limit: 1e9, offered: OFFERED, made_by: "a",
    columns: { file: [] }, card: { limits: [], uses: { refused: [] } } };
window.sent = [];
window.kernel = {
    gone: false,
    get: (name) => state[name],
    set(name, value) { state[name] = value; tell("change:answers"); },
    save_changes() {},
    on(name, act) { heard.set(name, [...(heard.get(name) ?? []), act]); },
    off(name, act) { heard.set(name, heard.get(name).filter((one) => one !== act)); },
    send({ key, name, last, learn, ...other }) {
        if (kernel.gone) throw new Error("Kernel is dead");
        sent.push({ key, name, learn, ...other });
        if (!last || learn) return;
        const answer = { key, row: { file: name, ...PREDICTION }, envelope: [[-1, 1], [-1, 1]] };
        setTimeout(() => kernel.set("answers", [...state.answers, answer]));
    },
};
window.tell = (name, ...what) => (heard.get(name) ?? []).forEach((act) => act(...what));
for (const el of document.querySelectorAll("main")) widget.render({ model: kernel, el });
"""
# Keeps the microphone's context, to be interrupted.
CONTEXT = """() => {
    window.AudioContext = class extends AudioContext {
        constructor(...options) { super(...options); window.context = this; }
    };
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """The front end in two views of one widget, as a notebook may have them."""
    folder = tmp_path_factory.mktemp("views")
    given = {"PREDICTION": prediction().to_dict(), "OFFERED": {"clips": offered.clips()}}
    front = widget.module().replace("export default", "const widget =")
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in given.items())
    (folder / "front.js").write_text(f"{front}\n{constants}\n{KERNEL}")
    (folder / "index.html").write_text(
        "<!doctype html><meta charset=utf-8><main id=one></main><main id=two></main>"
        "<script type=module src=front.js></script>"
    )
    served = Site(folder)
    yield served
    served.server.shutdown()


@pytest.fixture
def page(chromium: Browser, site) -> Iterator[Page]:
    context = chromium.new_context(permissions=["microphone"])
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.goto(site.address)
    expect(opened.locator(".persona-press")).to_have_count(2)
    yield opened
    context.close()


def press(page: Page, name: str) -> None:
    page.locator("#one").get_by_role("button", name=name, exact=True).click()


def answer(page: Page) -> None:
    """Give a file and see it answered."""
    sections = page.locator("#one section")
    before = sections.count()
    page.locator("#one input[type=file]").set_input_files(str(CLIP))
    press(page, "Make predictions")
    expect(sections).to_have_count(before + 1)


def live(page: Page, content: dict) -> None:
    """Tell the page something of the recording that is being made."""
    page.evaluate(
        "(told) => tell('msg:custom', { live: sent.findLast(({ live }) => live).live, ...told })",
        content,
    )


def test_a_context_that_says_late_that_it_runs_is_no_lost_microphone(page):
    page.evaluate(CONTEXT)
    press(page, "Record")
    expect(page.get_by_text("Recording, 1 of")).to_be_visible()
    page.evaluate("context.dispatchEvent(new Event('statechange'))")
    expect(page.get_by_text("Recording, 2 of")).to_be_visible()
    page.evaluate("context.suspend()")
    expect(page.locator("#one .persona-said")).to_contain_text("The microphone was taken away")


def test_until_somebody_is_heard_it_asks_to_speak(page):
    press(page, "Record")
    expect(page.get_by_text("Recording, 0 of")).to_be_visible()
    live(page, {"text": "Starting the model"})
    live(page, {"event": {"at": 0.5, "people": [], "turns": [], "gone": []}})
    expect(page.locator(".persona-speaking")).to_contain_text("Speak, and see what is heard.")


def test_what_has_failed_is_not_called_slow(page):
    press(page, "Record")
    expect(page.get_by_text("Recording, 0 of")).to_be_visible()
    live(page, {"event": {"at": 0.5, "people": [], "turns": [], "gone": []}})
    live(page, {"error": ""})
    expect(page.get_by_text("Recording, 3 of")).to_be_visible()
    expect(page.locator(".persona-speaking")).not_to_contain_text("s old")


def test_what_is_late_is_called_old_and_not_by_whose_fault(page):
    """The kernel may be far away, or a long file may be answered meanwhile."""
    press(page, "Record")
    expect(page.get_by_text("Recording, 0 of")).to_be_visible()
    live(page, {"event": {"at": 0.5, "people": [], "turns": [], "gone": []}})
    shown = page.locator(".persona-speaking")
    expect(shown).to_contain_text("s. What is shown is 3 s old, the recording is whole.")
    expect(shown).not_to_contain_text("device")


def test_a_microphone_that_cannot_be_read_is_not_left_on(page):
    page.evaluate(
        """() => {
            const { mediaDevices } = navigator, ask = mediaDevices.getUserMedia;
            mediaDevices.getUserMedia = async (asked) =>
                (window.microphone = await ask.call(mediaDevices, asked));
            window.AudioContext = class { constructor() { throw new Error("too many"); } };
        }"""
    )
    press(page, "Record")
    expect(page.locator("#one .persona-said")).to_contain_text("The microphone gave nothing")
    assert page.evaluate("microphone.getTracks().map((track) => track.readyState)") == ["ended"]


def test_a_kernel_that_goes_leaves_what_is_recorded(page):
    press(page, "Record")
    expect(page.get_by_text("Recording, 1 of")).to_be_visible()
    page.evaluate("kernel.gone = true")
    expect(page.get_by_text("Recording, 2 of")).to_be_visible()
    expect(page.locator(".persona-speaking")).to_contain_text("The recording goes on.")
    press(page, "Stop recording")
    expect(page.get_by_label("Play recording.wav")).to_be_visible()
    expect(page.locator("#one .persona-said")).to_be_empty()


def test_a_file_that_cannot_be_sent_is_one_sentence_and_the_next_press_works(page):
    page.evaluate("kernel.gone = true")
    page.locator("#one input[type=file]").set_input_files(str(CLIP))
    press(page, "Make predictions")
    expect(page.locator("#one .persona-status")).to_contain_text(
        f"{CLIP.name} could not be sent to the kernel: choose it again, or run the cell again."
    )
    expect(page.get_by_role("progressbar")).to_have_count(0)
    page.evaluate("kernel.gone = false")
    answer(page)


def test_a_voice_is_learnt_from_a_recording_that_is_cleared_meanwhile(page):
    for _ in range(2):
        answer(page)
    for button in page.get_by_role("button", name="This is me", exact=True).all():
        button.click()
    press(page, "Clear all")
    page.get_by_role("dialog").get_by_role("button", name="Clear all").click()
    for count in (1, 2):
        page.wait_for_function("(n) => sent.filter(({ learn }) => learn).length === n", arg=count)
        page.evaluate(
            "tell('msg:custom', { key: sent.findLast(({ learn }) => learn).key, error: 'No.' })"
        )
    answer(page)


def test_what_another_view_clears_is_gone_here_too(page):
    answer(page)
    expect(page.locator("#one audio")).to_have_count(1)
    page.locator("#two").get_by_role("button", name="Clear all").click()
    page.locator("#two").get_by_role("dialog").get_by_role("button", name="Clear all").click()
    expect(page.locator("section, audio")).to_have_count(0)


def test_a_clip_that_cannot_be_loaded_is_one_sentence(page):
    page.evaluate("kernel.gone = true")
    page.locator("#one summary").first.click()
    for act in ("Play", "Predict"):
        page.evaluate("document.querySelector('#one .persona-status').textContent = ''")
        page.locator("#one .persona-clips").get_by_role("button", name=act).first.click()
        expect(page.locator("#one .persona-status")).to_have_text(
            "The clip could not be loaded: check the network."
        )
