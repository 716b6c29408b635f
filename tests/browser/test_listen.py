"""The page that listens: the same answers as Python's, on the reader's device, for every reader."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from audio_samples import encode, encode_by_ffmpeg
from conftest import CLIP, PATIENCE, ROOT, Site, serious_faults

pytest.importorskip("playwright.sync_api")
from listening import answer, open_page
from playwright.sync_api import Page, expect

from persona import Predictor, audio
from persona.audio import RATE, degradations
from persona.keeping import store
from persona.model import answers, enrolment
from persona.people import conversations

MEASURED = ROOT / "persona" / "app" / "static" / "listen" / "measured.json"
SHARED = ROOT.parent / "shared"
# What the page may differ from Python by: in probability, and in years. A browser has its own
# decoders of lossy formats.
EXACT, ANY_RATE = (0.01, 0.2), (0.02, 0.3)
RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)

SHIFT = """() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => (sum += e.value)))
        .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(sum), 500);
})"""  # cumulative layout shift since the page was opened


@pytest.fixture(scope="session")
def book(bundle, tmp_path_factory) -> Path:
    """A book of this one page."""
    source = tmp_path_factory.mktemp("book")
    shutil.copytree(ROOT / "book", source, dirs_exist_ok=True)
    shutil.copy(ROOT / "_config.yml", source)
    (source / "_toc.yml").write_text("format: jb-book\nroot: hear\n")
    shutil.copytree(bundle, source / "_root" / "listen")
    program = Path(sys.executable).with_name("jupyter-book")
    subprocess.run([program, "build", "--quiet", source], check=True, capture_output=True)
    return source / "_build" / "html"


@pytest.fixture
def page(chromium, site) -> Iterator[Page]:
    opened = open_page(chromium, f"{site.address}/")
    yield opened
    opened.context.close()


def read(corpus: str, count: int) -> dict[str, np.ndarray]:
    files = sorted((SHARED / corpus / "audio").glob("*.flac"))
    chosen = [file for file in files if file.stem != "1076_MTI_SAD_XX"]  # silent
    step = len(chosen) // count
    return {file.stem: audio.read(file).samples for file in chosen[::step][:count]}


def degraded(voices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    clip, other, *rest = voices.values()
    pause = np.zeros(RATE // 2, np.float32)
    noise = np.random.default_rng(0).standard_normal(len(clip))
    long = np.concatenate([part for voice in voices.values() for part in (voice, pause)])
    return {
        "white": degradations.with_noise(clip, noise, 10),
        "babble": degradations.with_noise(clip, degradations.babble(rest[:4], len(clip)), 10),
        "telephone": degradations.telephone(other),
        "short": degradations.shortened(clip, 0.7),
        "loud": degradations.amplified(other, 30),
        "stereo": np.stack([clip, 0.5 * clip], axis=1),
        "long": np.resize(long, 150 * RATE),
    }


FORMS = [(16_000, "mp3"), (16_000, "m4a"), (44_100, "mp3"), (48_000, "m4a"), (22_050, "wav"),
         (44_100, "wav"), (48_000, "wav"), (96_000, "wav")]  # fmt: skip


def coded_as(kind: str, samples: np.ndarray, rate: int) -> bytes:
    if kind == "wav":
        return encode(samples, rate)
    codec, container = {"mp3": ("libmp3lame", "mp3"), "m4a": ("aac", "ipod")}[kind]
    return encode_by_ffmpeg(samples, rate, codec, container, bit_rate=96_000)


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> dict[str, list[Path]]:
    """22 files that every decoder reads alike, 8 that it may not."""
    if not all((SHARED / name / "audio").is_dir() for name in ("crema-d", "emodb")):
        pytest.skip("needs ../shared/crema-d/audio and ../shared/emodb/audio")
    voices = {**read("crema-d", 8), **read("emodb", 7)}
    lossless = {name: encode(x, container="FLAC") for name, x in voices.items()}
    lossless |= {name: encode(x) for name, x in degraded(voices).items()}
    coded = {
        f"{name}-{rate}.{kind}": coded_as(kind, soxr.resample(x, RATE, rate), rate)
        for (name, x), (rate, kind) in zip(list(voices.items())[::-2], FORMS, strict=True)
    }
    folder = tmp_path_factory.mktemp("clips")
    kinds = {"exact": lossless, "decoded": coded}
    for contents in kinds.values():
        for file, content in contents.items():
            (folder / file).write_bytes(content)
    return {kind: [folder / file for file in contents] for kind, contents in kinds.items()}


def differences(mine: dict, theirs: dict) -> tuple[float, float]:
    """Largest of probabilities and of ages: of the whole, every window, person and turn."""
    pairs = [(mine, theirs), *zip(mine["timeline"], theirs["timeline"], strict=True)]
    for one, other in zip(mine["people"], theirs["people"], strict=True):
        pairs += [(one, other), *zip(one["turns"], other["turns"], strict=True)]
    shares = [abs(a[task][k] - b[task][k]) for a, b in pairs
              for task in ("emotion", "gender") if task in a for k in a[task]]  # fmt: skip
    years = [abs(a[k] - b[k]) for a, b in pairs for k in ("age", "age_low", "age_high") if k in a]
    return max(shares), max(years)


def edges(row: dict) -> list[list[float]]:
    """Start, end and seconds of each turn of each person."""
    return [[turn[k] for k in ("start", "end", "seconds")]
            for person in row["people"] for turn in person["turns"]]  # fmt: skip


@pytest.mark.slow
def test_thirty_clips_are_answered_as_python_does(chromium, site, page, clips, pictures):
    files = [*clips["exact"], *clips["decoded"]]
    assert len(files) == 30
    rows = answer(page, files[0])
    first = float(re.search(r"in ([\d.]+) s", page.locator(".persona-status").inner_text())[1])
    rows = answer(page, *files[1:])
    predictor = Predictor.load()
    expected = [predictor.predict(file).to_dict() for file in files]
    for file, row, right in zip(files, rows, expected, strict=True):
        assert row.pop("file") == file.name
        assert list(row) == list(right), row
        assert row["trust"] == pytest.approx(right["trust"], abs=ANY_RATE[0])
        print(file.name, *differences(row, right))
    found = {}
    for kind, limits in (("exact", EXACT), ("decoded", ANY_RATE)):
        chosen = [(row, right) for file, row, right in zip(files, rows, expected, strict=True)
                  if file in clips[kind]]  # fmt: skip
        found[kind] = np.max([differences(*pair) for pair in chosen], axis=0).round(4).tolist()
        assert (np.array(found[kind]) <= limits).all(), (kind, found[kind])
    for file, row, right in zip(clips["exact"], rows, expected, strict=False):
        assert same_notes(row["notes"], right["notes"]), file.name
        assert np.allclose(row["speech"], right["speech"], atol=0.011), file.name
        for key, value in right["quality"].items():
            assert row["quality"][key] == pytest.approx(value, rel=0.01, abs=0.2), (file.name, key)
    again = open_page(chromium, f"{site.address}/")
    answer(again, files[1])
    later = answer(again, files[2]) and again.locator(".persona-status").inner_text()
    again.context.close()
    measured = {
        "clips": len(clips["exact"]), **found, "first_seconds": first,
        "later_seconds": float(re.search(r"in ([\d.]+) s", later)[1]),
        "bytes": loaded_bytes(site.address, page), "browser": f"Chromium {chromium.version}",
    }  # fmt: skip
    store.write_json(pictures / "measured.json", measured)
    print(measured)


def actor(number: int) -> conversations.Turn:
    files = sorted((SHARED / "crema-d" / "audio").glob(f"{number}_*.flac"))

    def turn(rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([audio.read(files[n]).samples for n in rng.choice(len(files), 2)])

    return turn


def conversation(seed: int, *actors: int, **given) -> np.ndarray:
    people = {str(number): actor(number) for number in actors}
    return conversations.conversation(people, seed, **given).samples


def call() -> np.ndarray:
    """Two who speak in turn, each in a channel of their own."""
    lines = conversation(0, 1002, turns=6), conversation(1, 1001, turns=6)
    pause = np.zeros(max(map(len, lines)), np.float32)
    size = min(map(len, lines)) // 2
    one = np.concatenate([lines[0][:size], pause[:size], lines[0][size : 2 * size]])
    two = np.concatenate([pause[:size], lines[1][:size], pause[:size]])
    return np.stack([one, two], axis=1)


@pytest.fixture(scope="session")
def several(tmp_path_factory) -> list[Path]:
    if not (SHARED / "crema-d" / "audio").is_dir():
        pytest.skip("needs ../shared/crema-d/audio")
    made = {
        "one": conversation(0, 1060, turns=6),
        "two": conversation(1, 1001, 1002),
        "three": conversation(2, 1003, 1010, 1020),
        "four": conversation(3, 1005, 1030, 1040, 1050, devices=True),
        "call": call(),
        "deaf": np.stack([0.003 * np.random.default_rng(0).standard_normal(20 * RATE),
                          np.resize(conversation(4, 1013, turns=6), 20 * RATE)], axis=1),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("conversations")
    for name, samples in made.items():
        (folder / f"{name}.wav").write_bytes(encode(samples))
    return [folder / f"{name}.wav" for name in made]


@pytest.mark.slow
def test_six_conversations_are_answered_by_person_as_python_does(page, several):
    rows = [answer(page, file)[-1] for file in several]
    expected = [Predictor.load().predict(file).to_dict() for file in several]
    assert [len(right["people"]) for right in expected[:2]] == [1, 2]
    for file, row, right in zip(several, rows, expected, strict=True):
        assert len(row["people"]) == len(right["people"]), file.name
        assert np.allclose(edges(row), edges(right), atol=0.011), file.name
        people = [[window["person"] for window in one["timeline"]] for one in (row, right)]
        assert people[0] == people[1], file.name
        assert row["notes"] == right["notes"] and row["schema"] == right["schema"]
        print(file.name, *differences(row, right))
        assert (np.array(differences(row, right)) <= ANY_RATE).all(), file.name
    assert "each channel is a person" in rows[4]["notes"]
    assert "only channel 2 was heard" in rows[5]["notes"]


CODERS = {"mp3": ("libmp3lame", "mp3"), "m4a": ("aac", "ipod"), "aac": ("aac", "adts"),
          "flac": ("flac", "flac"), "opus": ("libopus", "ogg"),
          "webm": ("libopus", "webm")}  # fmt: skip


@pytest.fixture(scope="session")
def forms(tmp_path_factory) -> dict[str, list[Path]]:
    """Four clips as PCM at every rate, and by the coders of phones and browsers."""
    if not (SHARED / "crema-d" / "audio").is_dir():
        pytest.skip("needs ../shared/crema-d/audio")
    folder = tmp_path_factory.mktemp("forms")
    found: dict[str, list[Path]] = {"pcm": [], "coded": []}
    for name, samples in read("crema-d", 4).items():
        for rate in RATES:
            found["pcm"].append(folder / f"{name}-{rate}.wav")
            found["pcm"][-1].write_bytes(encode(soxr.resample(samples, RATE, rate), rate))
        for kind, (codec, container) in CODERS.items():
            rate = 48_000 if codec == "libopus" else 44_100
            again = soxr.resample(samples, RATE, rate)
            found["coded"].append(folder / f"{name}-{rate}.{kind}")
            found["coded"][-1].write_bytes(encode_by_ffmpeg(again, rate, codec, container))
    return found


@pytest.mark.slow
def test_any_rate_and_format_is_answered_as_python_does(page, forms, pictures):
    """Run after the test above, whose measures it completes."""
    files = [file for kind in forms.values() for file in kind]
    rows = answer(page, *files)
    expected = [Predictor.load().predict(file).to_dict() for file in files]
    assert [row["notes"] for row in rows] == [right["notes"] for right in expected]
    by_file = {file: differences(row, right)
               for file, row, right in zip(files, rows, expected, strict=True)}  # fmt: skip
    for file, difference in by_file.items():
        print(file.name, *difference)
    found = {kind: np.max([by_file[file] for file in chosen], axis=0).round(4).tolist()
             for kind, chosen in forms.items()}  # fmt: skip
    assert (np.array(list(found.values())) <= ANY_RATE).all(), found
    measured = pictures / "measured.json"
    before = store.read_json(measured) if measured.exists() else {}
    store.write_json(measured, before | found | {"forms": len(files)})


def same_notes(mine: list[str], theirs: list[str]) -> bool:
    """The same but for the digits of a peak."""
    return [note.split()[0] for note in mine] == [note.split()[0] for note in theirs]


def loaded_bytes(address: str, page: Page) -> int:
    bundle = page.request.get(f"{address}/bundle.json").json()
    return sum(file["bytes"] for file in bundle["files"].values())


def test_what_the_page_says_was_measured_on_the_bundle_of_today(bundle):
    """Else copy build/browser/measured.json of the test above to where the page is."""
    files = json.loads((bundle / "bundle.json").read_text())["files"].values()
    assert json.loads(MEASURED.read_text())["bytes"] == sum(file["bytes"] for file in files)


def test_audio_never_leaves_the_page_and_nothing_is_loaded_before_the_click(page, site):
    sent = []
    page.context.on("request", lambda request: sent.append(request))
    assert not [path for _, path in site.asked if ".gz" in path or "ort.mjs" in path]
    answer(page, CLIP)
    loaded = len(site.asked)
    assert [path for _, path in site.asked if ".gz" in path]
    answer(page, CLIP, CLIP)
    assert len(site.asked) == loaded
    assert {method for method, _ in site.asked} == {"GET"}
    ours = (site.address, f"blob:{site.address}", "data:")
    assert all(request.url.startswith(ours) and request.post_data is None for request in sent)


def test_it_answers_without_a_network_once_loaded_and_loads_once(page, site):
    answer(page, CLIP)
    page.context.set_offline(True)
    assert len(answer(page, CLIP)) == 2
    page.context.set_offline(False)
    site.asked.clear()
    page.reload()
    assert len(answer(page, CLIP)) == 1
    assert not [path for _, path in site.asked if ".gz" in path]


def test_the_page_reloads_without_a_server_once_it_has_answered(chromium, bundle):
    site = Site(bundle)
    page = open_page(chromium, f"{site.address}/")
    answer(page, CLIP)
    wanted = set(json.loads((bundle / "bundle.json").read_text())["parts"])
    page.wait_for_function(
        """async (count) => {
            const cache = await caches.open("persona-page");
            return (await cache.keys()).length > count;
        }""",
        arg=len(wanted),
    )  # the parts, and the document
    site.server.shutdown()
    site.server.server_close()
    page.reload()
    answer(page, CLIP)
    page.get_by_text("clips of actors").click()
    page.get_by_role("button", name="Predict sad").click()
    expect(page.locator("section")).to_have_count(2, timeout=PATIENCE)
    page.context.close()


def test_csv_is_that_of_the_command_by_file_person_and_turn(page, tmp_path):
    risky = tmp_path / '=cmd, "quoted".wav'
    other = ROOT / "data" / "listening" / "1041_TAI_NEU_XX.flac"
    risky.write_bytes(encode(np.concatenate(3 * [audio.read(f).samples for f in (CLIP, other)])))
    broken = tmp_path / "broken.wav"
    broken.write_text("no sound")
    rows = answer(page, risky, broken)
    rows = json.loads(json.dumps(rows), parse_int=float)  # JavaScript writes 0.0 as 0
    assert len(rows[0]["people"]) > 1
    for by in answers.BY:
        with page.expect_download() as started:
            name = "Save as CSV" + ("" if by == "file" else f" by {by}")
            page.get_by_text(name, exact=True).click()
        header = answers.columns(by=by)
        parts = [part for row in rows for part in answers.rows(row, by)]
        expected = [answers.csv_line(header), *(answers.csv_row(part, header) for part in parts)]
        assert started.value.path().read_bytes().decode() == "".join(expected)


@pytest.fixture(scope="module")
def six(tmp_path_factory) -> Path:
    """One actor's sentence in six emotions."""
    files = sorted((ROOT / "data" / "six").glob("1020_*.flac"))
    joined = tmp_path_factory.mktemp("six") / "me.wav"
    joined.write_bytes(encode(np.concatenate([audio.read(file).samples for file in files])))
    return joined


ANGRY = ROOT / "data" / "six" / "1020_IEO_ANG_HI.flac"


def learn(page: Page, *, plain: bool = False) -> None:
    name = "This is me" + plain * ", speaking plainly"
    page.locator("section").first.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".persona-status")).to_contain_text("kept in this", timeout=PATIENCE)


@pytest.mark.parametrize("plain", [False, True])
def test_a_voice_is_learnt_and_read_against_as_python_does(page, six, plain):
    alone = answer(page, six)[0]
    learn(page, plain=plain)
    row = answer(page, ANGRY)[-1]
    predictor = Predictor.load()
    voice = enrolment.learn(predictor, [six], plain=plain)
    right = predictor.predict(ANGRY, voice=voice).to_dict()
    assert row["emotion"] != predictor.predict(ANGRY).emotion
    assert (np.array(differences(row, right)) <= ANY_RATE).all()
    assert row["notes"][-1] == "emotion is read against the voice that was learnt"
    assert len(alone["people"]) == 1


def test_a_voice_stays_in_the_browser_until_it_is_forgotten(page, site):
    answer(page, CLIP)
    learn(page)
    assert {method for method, _ in site.asked} == {"GET"}
    page.reload()
    used = page.get_by_label(re.compile("Read emotion against my usual voice"))
    expect(used).to_be_checked(timeout=PATIENCE)
    used.uncheck()
    assert not any("voice" in note for note in answer(page, CLIP)[-1]["notes"])
    page.get_by_role("button", name="Forget my voice").click()
    assert page.evaluate("localStorage.length") == 0
    expect(used).to_be_hidden()
    page.reload()
    assert not any("voice" in note for note in answer(page, CLIP)[-1]["notes"])


def test_a_voice_that_another_model_learnt_is_refused_in_one_sentence(page):
    kept = json.dumps({"offset": "", "phrases": 3, "plain": False, "made_for": "0" * 64})
    page.evaluate("(kept) => localStorage.setItem('persona-voice', kept)", kept)
    page.reload()
    expect(page.locator(".persona-usual")).to_contain_text(
        "The voice that is kept here was learnt by another model: learn it again."
    )
    assert not any("voice" in note for note in answer(page, CLIP)[-1]["notes"])


def test_a_first_press_without_a_network_is_one_sentence_and_the_next_press_works(page, recordings):
    page.context.set_offline(True)
    answer(page, CLIP)
    expect(page.get_by_role("alert")).to_have_text(re.compile("could not be loaded: check the net"))
    page.context.set_offline(False)
    assert "emotion" in answer(page, CLIP)[1]


def test_what_cannot_be_answered_is_one_sentence(page, recordings, tmp_path):
    silent, noisy, brief = (tmp_path / f"{name}.wav" for name in ("silent", "noisy", "brief"))
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
    for file, samples in (silent, 0 * noise), (noisy, noise), (brief, noise[:500]):
        soundfile.write(file, samples, RATE)
    answer(page, recordings["broken"], silent, noisy, brief)
    for sentence in (
        r'^"broken\.wav" cannot be decoded', r'^"silent\.wav" is silent',
        r'^"noisy\.wav": no speech was found in 3\.0 s', r'^"brief\.wav" is only 31 ms long',
    ):  # fmt: skip
        expect(page.get_by_role("alert").filter(has_text=re.compile(sentence))).to_have_count(1)


@pytest.mark.parametrize("container", ["FLAC", "WAV"])
def test_a_file_that_was_cut_off_says_so_as_python_does(page, tmp_path, container):
    content = encode(np.concatenate(3 * [audio.read(CLIP).samples]), container=container)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.write_bytes(content)
    cut.write_bytes(content[: len(content) // 2])
    rows = answer(page, whole, cut)
    assert rows[0]["notes"] == [] and rows[1]["notes"][0].startswith("ends early: ")
    assert rows[1]["notes"] == list(Predictor.load().predict(cut).notes)


def test_a_name_with_markup_is_shown_and_never_interpreted(page, recordings):
    answer(page, recordings["odd"])
    expect(page.locator("section h3")).to_have_text(recordings["odd"].name)
    assert page.locator("#persona-listen img").count() == 0


def test_keyboard_alone_records_and_the_answer_is_announced(page):
    page.context.grant_permissions(["microphone"])
    tab_to(page, "Record")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("Recording, 3 of"))).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Enter")
    said = re.compile(r"recording\.wav: \w+ \d+%, (fe)?male \d+%, \d+ years")
    expect(page.locator("[role=status].persona-status")).to_have_text(said, timeout=PATIENCE)


def tab_to(page: Page, text: str) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"Tab never reaches {text!r}")


def test_the_readmes_picture_shows_what_its_words_say(chromium, site, pictures):
    """Where the page has changed, build/browser/hear.png replaces the one in book/images."""
    words = re.search(r"!\[([^]]+)\]\(book/images/hear\.png\)", (ROOT / "README.md").read_text())
    assert words[1] == "The page: a recording, its emotion, gender and age, and the age's interval"
    page = open_page(chromium, f"{site.address}/", width=880)
    answer(page, CLIP)
    expect(page.locator("svg[aria-label^=Waveform], .persona-answers")).to_have_count(2)
    last = page.locator(".persona-interval").bounding_box()
    shown = {"x": 0, "y": 0, "width": 880, "height": last["y"] + last["height"] + 6}
    page.screenshot(path=pictures / "hear.png", full_page=True, clip=shown)
    page.context.close()


def test_a_clip_of_an_actor_is_played_and_answered_by_one_click_each(page):
    page.evaluate("""() => {
        window.played = [];
        HTMLMediaElement.prototype.play = function () { window.played.push(this.src); };
    }""")
    page.get_by_text("8 clips of actors, by the emotion that was meant").click()
    page.get_by_role("button", name="Play fear: The surface is slick.").click()
    page.wait_for_function("window.played.length === 1")
    assert page.locator("section").count() == 0
    page.get_by_role("button", name="Predict fear: The surface is slick.").click()
    page.get_by_role("button", name="Predict happy").click()  # while the first is on its way
    expect(page.locator("section h3")).to_have_text(
        ["1055_IWL_HAP_XX.flac", "1077_TSI_FEA_XX.flac"], timeout=PATIENCE
    )
    expect(page.locator("section .persona-worth").first).to_contain_text("on actors new to it")


def test_twelve_sentences_are_offered_to_read_and_folded_at_first(page):
    sentence = page.get_by_text("I would like a new alarm clock.").first
    expect(sentence).to_be_hidden()
    page.get_by_text("12 sentences to read aloud").click()
    expect(sentence).to_be_visible()
    expect(page.get_by_text("was trained on these sentences")).to_contain_text(
        re.compile(r"new sentences .* in \d\d% of all clips in place of \d\d%")
    )


def addresses(page: Page) -> list[str]:
    """Of the recordings and files that the page holds."""
    return page.locator("audio, .persona-downloads a").evaluate_all(
        "all => all.map((one) => one.src ?? one.href)"
    )


def is_held(page: Page, address: str) -> bool:
    return page.evaluate("(at) => fetch(at).then(() => true, () => false)", address)


def test_clear_all_asks_where_answers_are_not_saved_and_leaves_nothing_but_the_voice(page):
    clear = page.get_by_role("button", name="Clear all")
    expect(clear).to_be_hidden()
    answer(page, CLIP)
    learn(page)
    answer(page, CLIP, CLIP)
    answer(page, CLIP)  # saves all four, as does each
    page.get_by_label("Choose audio files").set_input_files(str(CLIP))
    page.get_by_role("button", name="Make predictions").click()
    expect(page.locator("section")).to_have_count(5, timeout=PATIENCE)
    held = addresses(page)
    assert all(is_held(page, address) for address in held) and len(held) == 3
    clear.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Clear 5 answers that are not saved?")
    page.keyboard.press("Escape")
    assert page.locator("section").count() == 5
    clear.click()
    dialog.get_by_role("button", name="Clear all").click()
    expect(page.locator("section, .persona-players li, .persona-downloads a")).to_have_count(0)
    expect(page.locator(".persona-status")).to_have_text("All answers are cleared.")
    expect(page.get_by_label("Choose audio files")).to_be_focused()
    expect(clear).to_be_hidden()
    assert not any(is_held(page, address) for address in held)
    expect(page.get_by_label(re.compile("Read emotion against my usual voice"))).to_be_checked()
    assert len(answer(page, CLIP)) == 1


def test_clear_all_does_not_ask_where_nothing_would_be_lost(page, recordings):
    answer(page, CLIP)  # and saves it
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("section")).to_have_count(0)
    page.get_by_label("Choose audio files").set_input_files(str(recordings["broken"]))
    page.get_by_role("button", name="Make predictions").click()
    expect(page.get_by_role("alert")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator(".persona-status")).to_contain_text("Done in", timeout=PATIENCE)
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_in_the_book_it_fits_and_has_no_serious_fault(
    chromium, book, packages, pictures, theme, width
):
    site = Site(book)
    page = open_page(chromium, f"{site.address}/hear.html", width, color_scheme=theme)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.reload()
    expect(page.get_by_label("Choose audio files")).to_be_attached(timeout=PATIENCE)
    assert page.evaluate(SHIFT) < 0.1  # what is called good
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    answer(page, CLIP)
    for folded in page.locator(".persona-offers summary").all():
        folded.click()
    page.screenshot(path=pictures / f"hear-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not serious_faults(page, packages, "#persona-listen")
    assert not errors
    page.wait_for_function("caches.has('persona-page')")
    page.context.close()
    site.server.shutdown()


@pytest.mark.slow
def test_where_it_cannot_run_the_book_says_what_to_do(chromium, book):
    page = chromium.new_context().new_page()
    page.goto((book / "hear.html").as_uri())
    expect(page.get_by_text("run make read")).to_be_visible()
    shutil.move(book / "listen" / "page.js", book / "page.js")
    site = Site(book)
    page.goto(f"{site.address}/hear.html")
    expect(page.get_by_text("where npm's registry could be reached")).to_be_visible()
    shutil.move(book / "page.js", book / "listen" / "page.js")
    page.context.close()
    site.server.shutdown()
