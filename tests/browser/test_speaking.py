"""While somebody speaks: what the page shows of it, and that the end is the answer to the file."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from conftest import CLIP, MICROPHONE, PATIENCE, ROOT, serious_faults

pytest.importorskip("playwright.sync_api")
from listening import answer, open_page, recorded, saved
from playwright.sync_api import Page, expect
from test_listen import ANY_RATE, EXACT, differences, edges

from persona import Predictor, audio
from persona.audio import RATE
from persona.keeping import store
from persona.model import enrolment

SLOWER = 4  # than this machine a telephone may be
LISTENING = sorted((ROOT / "data" / "listening").glob("*.flac"))
# A recording of so many blocks as the worker hears it: each as soon as the one before is answered,
# or all at once. Gives events, and the milliseconds that each block took.
FOLLOW = """async ([content, rate, atOnce, voice]) => {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const samples = new Int16Array(bytes.buffer), size = Math.round(rate / 2);
    const bundle = await (await fetch("bundle.json")).json();
    const worker = new Worker("worker.js", { type: "module" });
    const events = [], times = [];
    let told, end = 0;
    worker.onmessage = ({ data }) => {
        if (!data.event && data.error === undefined) return;
        events.push(data.event ?? data);
        told?.();
    };
    worker.postMessage({ id: 1, bundle, rate, voice });
    for (let at = 0; at < samples.length; at = end) {
        end = at + size;
        const began = performance.now(), heard = new Promise((resolve) => (told = resolve));
        worker.postMessage({ id: 1, block: samples.slice(at, end) });
        if (!atOnce) await heard;
        times.push(performance.now() - began);
    }
    const heard = () => (events.at(-1)?.at ?? 0) > samples.length / rate - 0.1;
    for (let i = 0; atOnce && !heard() && i < 20; i++)
        await new Promise((resolve) => setTimeout(resolve, 1000));
    worker.terminate();
    return { events, times };
}"""

# The predictor in the page's own thread, which Chromium can slow down; it cannot slow a worker.
LOAD = """async () => {
    const here = (name) => new URL(name, location.href).href;
    const bundle = await (await fetch("bundle.json")).json();
    const ort = await import(here("ort.mjs")), { Predictor } = await import(here("predictor.js"));
    const files = {};
    for (const [file, { name }] of Object.entries(bundle.files)) {
        const unpacked = (await fetch(name)).body.pipeThrough(new DecompressionStream("gzip"));
        files[file] = new Uint8Array(await new Response(unpacked).arrayBuffer());
    }
    const { runtime, ...graphs } = files;
    Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: runtime });
    window.predictor = await Predictor.load(bundle, ort, graphs);
}"""
TIMES = """async ([content, rate]) => {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const samples = Float32Array.from(new Int16Array(bytes.buffer), (x) => x / 32768);
    const live = predictor.live(rate), times = [], size = Math.round(rate / 2);
    for (let at = 0; at < samples.length; at += size) {
        const began = performance.now();
        await live.hear(samples.subarray(at, at + size));
        times.push((performance.now() - began) / 1000);
    }
    return times;
}"""  # seconds of each block


@pytest.fixture
def page(chromium, site) -> Iterator[Page]:
    opened = open_page(chromium, f"{site.address}/", permissions=["microphone"])
    yield opened
    opened.context.close()


def follow(
    page: Page, samples: np.ndarray, rate: int, *, at_once: bool = False, voice: dict | None = None
) -> dict:
    return page.evaluate(FOLLOW, [coded(samples), rate, at_once, voice])


def coded(samples: np.ndarray) -> str:
    return base64.b64encode(samples.tobytes()).decode()


def joined(*files: Path, pause: float, rate: int) -> np.ndarray:
    """16-bit samples of several recordings, with a pause in seconds behind each."""
    quiet = np.zeros(round(pause * RATE), np.float32)
    samples = np.concatenate([part for f in files for part in (audio.read(f).samples, quiet)])
    found = soxr.resample(samples, RATE, rate)
    return np.round(32767 * found.clip(-1, 1)).astype(np.int16)


def rows(events: list[dict]) -> Iterator[dict]:
    """After each event, all that a client knows, as rows of files are."""
    turns: dict[float, dict] = {}
    for event in events:
        for start in event["gone"]:
            del turns[start]
        turns |= {turn["start"]: turn for turn in event["turns"]}
        own = [[turns[start] for start in sorted(turns) if turns[start]["person"] == 1 + i]
               for i in range(len(event["people"]))]  # fmt: skip
        people = [{**p, "turns": mine} for p, mine in zip(event["people"], own, strict=True)]
        yield {"timeline": [], "people": people}


@pytest.mark.parametrize(
    ("files", "pause", "rate", "people"),
    [(LISTENING[:3], 2.5, RATE, 1),
     (2 * [CLIP, ROOT / "data" / "listening" / "1041_TAI_NEU_XX.flac"], 0.3, 48_000, 2)],
)  # fmt: skip
def test_events_are_those_of_python(page, files, pause, rate, people):
    samples = joined(*files, pause=pause, rate=rate)
    mine = follow(page, samples, rate)["events"]
    *theirs, _ = (event.to_dict() for event in Predictor.load().stream([samples], rate))
    assert max(len(event["people"]) for event in mine) == people
    for one, other in zip(mine, theirs, strict=True):
        assert one["at"] == pytest.approx(other["at"], abs=0.001)
        assert one["speaking"] == other["speaking"], one["at"]
        assert len(one["people"]) == len(other["people"]), one["at"]
    apart = []
    for one, other in zip(rows(mine), rows(theirs), strict=True):
        assert [[turn["closed"] for turn in person["turns"]] for person in one["people"]] == [
            [turn["closed"] for turn in person["turns"]] for person in other["people"]
        ]
        assert np.allclose(edges(one), edges(other), atol=0.011)
        apart += [differences(one, other)] if one["people"] else []
    assert (np.max(apart, axis=0) <= EXACT).all(), np.max(apart, axis=0)


def test_emotion_is_read_against_a_voice_that_was_learnt_as_python_does(page):
    samples, predictor = joined(CLIP, pause=0, rate=RATE), Predictor.load()
    voice = enrolment.learn(predictor, sorted((ROOT / "data" / "six").glob("1020_*.flac")))
    mine = follow(page, samples, RATE, voice=voice.to_dict())["events"]
    theirs, plain = ([e.to_dict() for e in predictor.stream([samples], RATE, voice=v)][:-1]
                     for v in (voice, None))  # fmt: skip
    one, other, without = ([*rows(events)][-1] for events in (mine, theirs, plain))
    assert (np.array(differences(one, other)) <= EXACT).all()
    assert differences(one, without)[0] > EXACT[0]


def test_what_waits_is_heard_at_once_and_nothing_is_left_out(page):
    samples = joined(*LISTENING[:2], pause=0.5, rate=RATE)
    events = follow(page, samples, RATE, at_once=True)["events"]
    assert len(events) < len(samples) / RATE
    assert events[-1]["at"] == pytest.approx(len(samples) / RATE)


def test_one_speaks_sees_it_move_and_stops_with_the_answer_of_the_file(page, tmp_path):
    page.get_by_role("button", name="Record").click()
    live = page.get_by_label("While you speak")
    expect(live.locator(".persona-open")).to_be_visible(timeout=PATIENCE)
    expect(live).to_contain_text(re.compile(r"(fe)?male \d+%.*\d+ years", re.DOTALL))
    over = live.locator(".persona-turn:not(.persona-open)")
    expect(over.first).to_be_visible(timeout=PATIENCE)
    aloud = re.compile(r"Person 1, \d+\.\d to \d+\.\d s: \w+\.")
    expect(live.get_by_role("status")).to_contain_text(aloud)
    page.get_by_role("button", name="Stop recording").click()
    expect(page.locator("section h3")).to_have_text("recording.wav", timeout=PATIENCE)
    expect(live).to_have_count(0)
    (made,) = saved(page)
    file = recorded(page, tmp_path)
    assert likeness(audio.read(file).samples, audio.read(MICROPHONE).samples) > 0.99
    assert answer(page, file)[-1] == made
    right = Predictor.load().predict(file).to_dict()
    assert (np.array(differences(made, right)) <= ANY_RATE).all()
    assert made["notes"] == list(right["notes"])


def likeness(recorded: np.ndarray, played: np.ndarray) -> float:
    """Cosine of each second that was recorded with what was played again and again: their median,
    as a busy machine's microphone may leave something out.
    """
    size, again, found = 1 << 18, np.tile(played, 2), []
    for second in recorded[: len(recorded) // RATE * RATE].reshape(-1, RATE):
        if np.abs(second).max() < 0.05:
            continue  # the pause
        sums = np.fft.irfft(np.fft.rfft(again, size) * np.fft.rfft(second, size).conj())
        at = int(sums[: len(played)].argmax())
        same = again[at : at + RATE]
        found.append(second @ same / np.linalg.norm(second) / np.linalg.norm(same))
    return float(np.median(found))


def stop_and_wait(page: Page) -> None:
    page.get_by_role("button", name="Stop recording").click()
    expect(page.get_by_label("Play recording.wav")).to_be_visible(timeout=PATIENCE)


REFUSALS = {
    "NotAllowedError": "The microphone was not allowed: allow it in the browser and press Record "
                       "again.",
    "NotFoundError": "There is no microphone: connect one, or choose a file.",
}  # fmt: skip


@pytest.mark.parametrize("error", REFUSALS)
def test_without_a_microphone_it_says_so_in_one_sentence(page, error):
    page.evaluate(
        """(name) => {
            navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
        }""",
        error,
    )
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".persona-said")).to_have_text(REFUSALS[error])
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    "loss",
    ["microphone.getTracks()[0].dispatchEvent(new Event('ended'))", "contexts[0].suspend()"],
)
def test_a_microphone_that_is_taken_away_leaves_what_was_recorded(page, loss):
    page.evaluate(
        """() => {
            const { mediaDevices } = navigator, ask = mediaDevices.getUserMedia;
            mediaDevices.getUserMedia = async (asked) =>
                (window.microphone = await ask.call(mediaDevices, asked));
            window.contexts = [];
            window.AudioContext = class extends AudioContext {
                constructor(asked) {
                    super(asked);
                    contexts.push(this);
                }
            };
        }"""
    )
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_text("Recording, 2 of")).to_be_visible(timeout=PATIENCE)
    page.evaluate(loss)
    expect(page.locator(".persona-said")).to_have_text(
        "The microphone was taken away: what was recorded until then is kept."
    )
    expect(page.locator("section h3")).to_have_text("recording.wav", timeout=PATIENCE)


def test_after_a_fault_of_the_program_the_next_press_starts_anew(page, bundle):
    """A graph that has run out of memory never runs again."""
    code = (bundle / "worker.js").read_text()
    begun = "const by = await ready(bundle, say);"
    broken = code.replace(begun, f"{begun} throw new Error('out of memory');")
    assert broken != code
    page.route("**/worker.js", lambda route: route.fulfill(
        body=broken, content_type="text/javascript"), times=1)  # fmt: skip
    (failed,) = answer(page, CLIP)
    assert "because of a fault in the program" in failed["error"]
    assert "error" not in answer(page, CLIP)[-1]


def test_without_a_network_a_first_recording_is_kept_and_answered_later(page):
    page.context.set_offline(True)
    page.get_by_role("button", name="Record").click()
    live = page.get_by_label("While you speak")
    expect(live).to_contain_text(
        re.compile(r"could not be loaded: check the network\. The recording goes on\.")
    )
    expect(page.get_by_text("Recording, 3 of")).to_be_visible(timeout=PATIENCE)
    stop_and_wait(page)
    page.context.set_offline(False)
    page.get_by_role("button", name="Make predictions").click()
    expect(page.locator("section h3")).to_have_text("recording.wav", timeout=PATIENCE)


def test_it_fits_and_has_no_serious_fault_while_one_speaks(page, packages, pictures):
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".persona-turn").first).to_be_visible(timeout=PATIENCE)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert not serious_faults(page, packages, "#persona-listen")
        for width in (1000, 390):
            page.set_viewport_size({"width": width, "height": 1000})
            page.screenshot(path=pictures / f"speaking-{width}-{theme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    stop_and_wait(page)
    assert "undefined" not in page.locator("#persona-listen").inner_text()


@pytest.mark.slow
def test_what_hearing_costs_while_one_speaks(page, pictures):
    """As a share of real time, on one thread of this machine and of one four times as slow."""
    rate = 48_000
    samples = joined(*sorted((ROOT / "data" / "six").glob("1020_*.flac"))[:3], pause=0.3, rate=rate)
    page.evaluate(LOAD)
    devtools = page.context.new_cdp_session(page)
    found = {}
    for name, slower in (("live", 1), ("live_slow", SLOWER)):
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        times = [page.evaluate(TIMES, [coded(samples), rate]) for _ in range(3)]
        least = np.min(times, axis=0).sum()  # what else ran has no part in it
        found[name] = round(float(least) / (len(samples) / rate), 2)
    assert found["live"] < 0.5 and found["live"] < found["live_slow"], found
    measured = pictures / "measured.json"
    before = store.read_json(measured) if measured.exists() else {}
    store.write_json(measured, before | found | {"slower": SLOWER})
