"""From a recording to its answers, by a model that is made in a moment."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import toy_model
from audio_samples import encode, sine
from toy_model import CLIP, Bands

import persona
from persona import audio
from persona.audio import speech
from persona.audio.degradations import amplified, telephone, with_noise
from persona.errors import AudioError, ModelError, PersonaError
from persona.labels import EMOTIONS
from persona.model.prediction import Prediction
from persona.model.predictor import Predictor
from persona.model.summary import age_limits

ROOT = Path(__file__).resolve().parent.parent
RATE = audio.RATE


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    toy_model.register(monkeypatch)


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        toy_model.register(patch)
        return toy_model.model()


@pytest.fixture
def predictor(model) -> Predictor:
    return Predictor(model)


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return audio.read(CLIP).samples


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def talk(clip: np.ndarray, times: int, pause: float = 1.0) -> tuple[np.ndarray, int]:
    """The clip over and over, with silence between."""
    return np.concatenate([clip, silence(pause)] * times), RATE


class TestAPrediction:
    def test_names_every_class_with_probabilities_that_sum_to_1(self, predictor):
        predicted = predictor.predict(CLIP)
        assert isinstance(predicted, Prediction)
        assert tuple(predicted.emotion) == EMOTIONS
        assert sum(predicted.emotion.values()) == pytest.approx(1, abs=1e-5)
        assert sum(predicted.gender.values()) == pytest.approx(1, abs=1e-5)
        assert predicted.age_low < predicted.age < predicted.age_high

    def test_is_the_heads_answer_to_the_embedding_of_the_speech(self, predictor, model, clip):
        """The road of training: waveform, speech, representation, network."""
        import torch

        embedding = Bands().embed([speech.only(clip).samples])
        wanted = model.networks().predict(torch.from_numpy(embedding))
        predicted = predictor.predict(CLIP)
        assert list(predicted.emotion.values()) == pytest.approx(wanted.emotion[0], abs=1e-3)
        assert list(predicted.gender.values()) == pytest.approx(wanted.gender[0], abs=1e-3)
        assert predicted.age == pytest.approx(float(wanted.age[0]), abs=0.05)

    def test_is_the_same_for_a_path_its_bytes_and_its_waveform(self, predictor, clip):
        by_path = predictor.predict(CLIP).to_dict()
        assert predictor.predict(str(CLIP)).to_dict() == by_path
        assert predictor.predict(CLIP.read_bytes()).to_dict() == by_path
        assert predictor.predict((clip, RATE)).to_dict() == by_path

    def test_is_json(self, predictor):
        predicted = predictor.predict(CLIP)
        again = json.loads(json.dumps(predicted.to_dict(), allow_nan=False))
        assert again["emotion"] == predicted.emotion
        assert again["speech"] == predicted.speech.tolist()
        assert again["timeline"][0]["age"] == pytest.approx(predicted.age)
        assert again["trust"] == max(predicted.emotion.values()) and again["quality"]["level"] < 0

    def test_has_the_envelope_of_the_same_reading(self, predictor, clip):
        envelope = predictor.predict(CLIP).envelope
        assert len(envelope) == pytest.approx(len(clip) / 160, abs=1)
        assert envelope[:, 1].max() == pytest.approx(clip.max())

    def test_equals_one_that_says_the_same_to_the_last_bit(self, predictor, clip):
        predicted = predictor.predict(CLIP)
        assert predicted == predictor.predict(CLIP)
        assert predicted != predictor.predict((clip[:-RATE], RATE))
        assert predicted != replace(predicted, speech=predicted.speech + 1)
        assert predicted != "a prediction" and predicted.timeline != replace(
            predicted.timeline, age=None
        )


class TestManyRecordings:
    """A generator of sources: two good ones, one that is none, and one more."""

    SOURCES = (CLIP, b"no audio", CLIP.read_bytes(), "missing.wav", CLIP)

    @pytest.mark.parametrize("jobs", [1, 3, None])
    def test_are_answered_in_order_and_a_bad_one_has_its_error_in_its_place(self, predictor, jobs):
        one = predictor.predict(CLIP)
        many = list(predictor.predict_many(iter(self.SOURCES), jobs=jobs))
        assert [many[i] == one for i in (0, 2, 4)] == [True] * 3
        assert [type(many[i]) for i in (1, 3)] == [AudioError] * 2
        assert '"missing.wav" was not found' in str(many[3])

    def test_are_named_and_counted_on_demand(self, predictor):
        counted = []
        names = [f"recording {i}" for i in range(5)]
        many = predictor.predict_many(self.SOURCES, names=names, progress=counted.append)
        assert "recording 1" in str(list(many)[1])
        assert counted == [1, 2, 3, 4, 5]

    def test_are_taken_a_few_at_a_time(self, predictor):
        taken = []
        sources = (taken.append(i) or CLIP for i in range(1000))
        many = predictor.predict_many(sources, jobs=2)
        next(many)
        assert len(taken) < 20
        many.close()

    def test_are_let_go_of_in_the_middle_of_a_long_one(self, predictor, clip, monkeypatch):
        """As where the caller wants no more, or presses Ctrl-C."""
        many = predictor.predict_many([CLIP, talk(clip, 300)], jobs=1)
        next(many)
        before = Bands.calls
        many.close()
        assert Bands.calls - before < 50

    def test_are_refused_for_what_fits_none(self, predictor):
        with pytest.raises(PersonaError, match="no probability"):
            list(predictor.predict_many([CLIP], at_least=2))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_predictor_is_copied_by_its_models_bytes(predictor, copied):
    again = copied(predictor)
    assert again is not predictor and again.model == predictor.model
    assert again.predict(CLIP) == predictor.predict(CLIP)


SETTINGS = """
import os, sys
{before}
import av
av.logging.set_level(av.logging.ERROR)
from persona import Predictor, audio
list(audio.Reader({clip!r}).blocks(1))
print(os.environ["ORT_DISABLE_TELEMETRY"], av.logging.get_level() == av.logging.ERROR)
"""


@pytest.mark.parametrize("hosts", [None, "", "0"])
def test_the_hosts_settings_are_left_alone(hosts):
    before = "" if hosts is None else f"os.environ['ORT_DISABLE_TELEMETRY'] = {hosts!r}"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    script = SETTINGS.format(before=before, clip=str(CLIP))
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert shown.stdout == f"{'1' if hosts is None else hosts} True\n", shown.stderr


class TestSpeech:
    def test_silence_around_it_changes_nothing(self, predictor, clip):
        plain = predictor.predict((clip, RATE))
        padded = predictor.predict((np.concatenate([silence(3), clip, silence(5)]), RATE))
        assert padded.age == pytest.approx(plain.age, abs=0.3)
        assert padded.speech == pytest.approx(plain.speech + 3, abs=0.05)
        assert padded.seconds == pytest.approx(plain.seconds + 8)
        assert padded.speech_seconds == pytest.approx(plain.speech_seconds, abs=0.1)

    def test_none_of_it_is_one_sentence(self, predictor):
        noise = np.random.default_rng(0).normal(0, 0.01, 12 * RATE)
        with pytest.raises(AudioError, match=r'"room.wav": no speech was found in 12\.0 s: '):
            predictor.predict((noise, RATE), name="room.wav")

    def test_little_of_it_is_noted_and_widens_the_interval(self, predictor, clip):
        start = int(predictor.predict(CLIP).speech[0, 0] * RATE)
        predicted = predictor.predict((clip[start : start + RATE // 2], RATE))
        assert predicted.speech_seconds < 1
        assert any("of speech: expect little" in note for note in predicted.notes)
        interval = predictor.card["age_interval"]
        low, high = age_limits(interval, predicted.age, 1.0)
        assert predicted.age_high - predicted.age_low > 1.2 * (high - low)


class TestTheTimeline:
    def test_has_windows_in_the_recordings_own_time(self, predictor, clip):
        predicted = predictor.predict(talk(clip, 8))
        line = predicted.timeline
        assert len(line.starts) > 2
        assert (np.diff(line.starts) > 0).all()
        assert line.ends[-1] == pytest.approx(predicted.speech[-1, 1])
        beside_pauses = predicted.speech_seconds - line.weights.sum()
        assert 0 <= beside_pauses <= 0.5 * len(predicted.speech)

    def test_is_averaged_by_the_seconds_of_speech_into_the_answer(self, predictor, clip):
        predicted = predictor.predict(talk(clip, 7))
        line = predicted.timeline
        assert predicted.age == pytest.approx(np.average(line.age, weights=line.weights))
        happy = np.average(line.emotion[:, EMOTIONS.index("happy")], weights=line.weights)
        assert predicted.emotion["happy"] == pytest.approx(happy)

    def test_has_no_answer_where_nobody_speaks(self, predictor, clip):
        predicted = predictor.predict(talk(clip, 8, pause=3.0))
        spans = predicted.spans()
        inside = sum(end - start for start, end, _ in spans)
        assert inside == pytest.approx(predicted.speech_seconds, rel=0.01)
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(spans))
        assert [window for *_, window in spans] == sorted(window for *_, window in spans)

    def test_is_in_order_however_many_windows_there_are(self, predictor, clip):
        before = Bands.calls
        line = predictor.predict(talk(clip, 60, pause=0.5)).timeline
        assert Bands.calls - before == len(line.starts) > 20
        assert (np.diff(line.starts) > 0).all()

    def test_has_no_step_where_a_second_window_begins(self, predictor, clip):
        long = np.concatenate([clip] * 4)
        ages = [
            predictor.predict((long[: round(s * RATE)], RATE)).age for s in np.arange(4, 8, 0.25)
        ]
        assert np.abs(np.diff(ages)).max() < 2


def test_progress_rises_to_all_of_it(predictor, clip):
    shares = []
    predictor.predict(talk(clip, 30), progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 2 and shares[-1] == 1.0


INTERVAL = {"ages": [20.0, 60.0], "below": [10.0, 20.0], "above": [30.0, 10.0]}


class TestTheInterval:
    def test_differs_with_the_predicted_age(self):
        assert age_limits(INTERVAL, 20, 5) == (10, 50)
        assert age_limits(INTERVAL, 40, 5) == (25, 60)
        assert age_limits(INTERVAL, 70, 5) == (50, 80)

    def test_is_never_below_0(self):
        assert age_limits(INTERVAL, 5, 5)[0] == 0

    def test_widens_without_a_step_below_a_second_of_speech(self):
        assert age_limits(INTERVAL, 40, 0.999)[1] == pytest.approx(60, abs=0.02)
        assert age_limits(INTERVAL, 40, 0.25)[1] == pytest.approx(80)


HISS = np.random.default_rng(0).normal(size=10 * RATE).astype(np.float32)


def without(samples: np.ndarray, packets: slice) -> np.ndarray:
    """Zeros in the place of some packets of 20 ms."""
    kept = samples[: len(samples) // 320 * 320].reshape(-1, 320).copy()
    kept[packets] = 0
    return kept.ravel()


class TestQuality:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (telephone, r"no sound above 3\d\d\d Hz: a clean recording may be answered otherwise"),
            (lambda x: amplified(x, 40), r"\d+ % clipped: a clean recording may be answered"),
            (lambda x: with_noise(x, HISS[: len(x)], 4), r"speech only [3-6] dB above the noise: "),
            (lambda x: without(x, slice(None, None, 16)), r"[2-6] % of the speech is missing: "),
        ],
    )
    def test_a_recording_in_which_answers_move_has_a_note(self, predictor, clip, change, words):
        assert "clean recording" not in " ".join(predictor.predict((clip, RATE)).notes)
        notes = predictor.predict((change(clip), RATE)).notes
        assert any(re.match(words, note) for note in notes)


class TestTrust:
    def test_is_the_probability_of_the_emotion(self, predictor, clip):
        predicted = predictor.predict(talk(clip, 7))
        assert 1 / 6 < predicted.trust == max(predicted.emotion.values()) <= 1

    def test_below_what_was_asked_leaves_the_emotion_unnamed_with_a_note(self, predictor):
        trust = predictor.predict(CLIP).trust
        plain, named, unnamed = (
            predictor.predict(CLIP, at_least=p) for p in (0.0, trust, (trust + 1) / 2)
        )
        assert named.to_dict() == plain.to_dict()
        assert unnamed.emotion is None and unnamed.trust == trust
        asked = f"{50 * (trust + 1):g} %"
        assert unnamed.notes == (*plain.notes, f"no emotion has a probability of {asked} or more")
        assert (unnamed.gender, unnamed.age) == (plain.gender, plain.age)
        assert json.loads(json.dumps(unnamed.to_dict()))["emotion"] is None

    @pytest.mark.parametrize("at_least", [-0.1, 1.1, 60, float("nan")])
    def test_by_what_is_no_probability_is_one_sentence(self, predictor, at_least):
        with pytest.raises(PersonaError, match=r"is no probability: give one from 0 to 1\.$"):
            predictor.predict(CLIP, at_least=at_least)


def _changed(model, **changes):
    from persona.model.saved import Model

    return Model(model.card | changes, model.heads, model.weights)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "is empty"),
        ((np.zeros(16_000), 16_000), "is silent"),
        ((np.zeros(800), 16_000), "is only 50 ms long"),
        ((np.full(16_000, np.nan), 16_000), "NaN or infinite"),
        (ROOT / "nothing.wav", "was not found"),
        (ROOT, "is a folder"),
    ],
)
def test_audio_that_cannot_be_used_is_one_sentence(predictor, source, words):
    with pytest.raises(AudioError, match=words):
        predictor.predict(source)


def test_audio_over_the_limit_is_refused(predictor):
    with pytest.raises(AudioError, match=r"over the limit of 0\.01 MB"):
        predictor.predict(encode(sine()), max_bytes=10_000)


class TestAModelThatDoesNotFit:
    def test_was_trained_on_other_speech(self, model):
        with pytest.raises(ModelError, match="another detection of speech"):
            Predictor(_changed(model, speech={"speech": 0}))

    def test_was_trained_on_vectors_of_another_version(self, model):
        old = {"representation": "bands", "version": 0}
        with pytest.raises(PersonaError, match="version 0, here it is 1"):
            Predictor(_changed(model, representations=[old]))

    def test_takes_vectors_of_another_length(self, model):
        twice = [Bands().provenance()] * 2
        with pytest.raises(ModelError, match="give 16 numbers, its heads take 8"):
            Predictor(_changed(model, representations=twice))


def test_import_persona_imports_nothing_heavy():
    script = "import persona, sys; print('numpy' in sys.modules, 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert shown.stdout == "False False\n"
    assert persona.Predictor is Predictor
    with pytest.raises(AttributeError):
        persona.nothing  # noqa: B018


PREDICT = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
import toy_model, pytest
toy_model.register(pytest.MonkeyPatch())
from persona import Predictor
predictor = Predictor.load(sys.argv[1])
"""


def test_predicting_needs_neither_torch_nor_pandas_nor_librosa(model, tmp_path):
    model.save(tmp_path)
    script = PREDICT + (
        f"predictor.predict({str(CLIP)!r})\n"
        "import persona.cli.printing\n"
        "heavy = ('torch', 'pandas', 'librosa', 'pyarrow', 'scipy', 'transformers', 'onnx')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, cwd=ROOT
    )
    assert shown.stdout == "[]\n", shown.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak memory")
def test_45_minutes_take_no_more_memory_than_20(model, tmp_path, clip):
    """Resident memory at its highest, in a process of its own; the audio alone would be 173 MB."""
    import soundfile

    script = PREDICT + (
        "from pathlib import Path\n"
        # Not ru_maxrss, which a process inherits from the one that started it.
        "status = lambda: Path('/proc/self/status').read_text()\n"
        "for file in sys.argv[2:]:\n"
        "    predictor.predict(file)\n"
        "    print(int(status().split('VmHWM:')[1].split()[0]) / 1024)\n"
    )
    files = []
    for minutes in (20, 45):
        files.append(str(tmp_path / f"{minutes}.flac"))
        soundfile.write(files[-1], np.tile(clip, round(minutes * 60 * RATE / len(clip))), RATE)
    shown = subprocess.run(
        [sys.executable, "-c", script, model.save(tmp_path / "model"), *files],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    first, second = map(float, shown.stdout.split())
    assert second < 500
    assert second - first < 40


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    try:
        return Predictor.load()
    except PersonaError as error:
        pytest.skip(f"the model that ships is not made yet: {error}")


class TestTheModelThatShips:
    def test_recognises_happiness_in_the_example(self, shipped):
        emotion = shipped.predict(CLIP).emotion
        assert max(emotion, key=emotion.get) == "happy"

    def test_answers_as_its_networks_do(self, shipped, clip):
        import torch

        from persona import calibration, representations

        ears = [representations.restore(p) for p in shipped.card["representations"]]
        embedding = np.hstack([ear.embed([speech.only(clip).samples]) for ear in ears])
        wanted = shipped.model.networks().predict(torch.from_numpy(np.float32(embedding)))
        predicted = shipped.predict(CLIP)
        temperature = shipped.card["calibration"]["emotion"]["temperature"]
        emotion = calibration.tempered(wanted.emotion.numpy(), temperature)[0]
        assert list(predicted.emotion.values()) == pytest.approx(emotion, abs=1e-3)
        assert predicted.age == pytest.approx(float(wanted.age[0]), abs=0.05)

    def test_runs_its_network_once_for_the_layers_that_it_listens_to(self, shipped):
        assert len(shipped.card["representations"]) == 4
        (ear,) = shipped._representations
        assert ear.layer == "block2_ends+block2+block3+block3_ends"

    def test_has_an_interval_that_held_for_speakers_it_was_not_fit_on(self, shipped):
        coverage = shipped.card["age_interval"]["coverage"]
        assert coverage["everyone"]["value"] >= 0.78
        bands = [c for name, c in coverage.items() if name.startswith("aged")]
        assert all(band["value"] >= 0.65 for band in bands if band["speakers"] >= 6)

    def test_states_what_a_card_has_to_state(self, shipped):
        card = shipped.card
        metrics = card["evaluation"]["metrics"]
        assert all(m["low"] <= m["value"] <= m["high"] for m in metrics.values())
        assert {"female", "male"} < set(card["evaluation"]["groups"])
        assert "speaker-disjoint" in card["evaluation"]["protocol"]
        assert card["limits"] and card["uses"]["intended"] and card["uses"]["refused"]
