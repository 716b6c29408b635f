import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from audio_samples import encode, sine
from hub_server import COMMIT, Hub
from huggingface_hub import constants

import persona
from persona import audio, corpora, features, model, release, representations
from persona.errors import AudioError, ModelError, PersonaError
from persona.predictor import HOP, WINDOW, Prediction, Predictor

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "data" / "examples" / "1018_IEO_HAP_HI.flac"


class Loudness:
    """A representation of one dimension: the peak of a waveform."""

    name, dimension, rate, version = "mfcc", 1, audio.RATE, 1

    def embed(self, waveforms):
        return np.array([[abs(w).max()] for w in waveforms], np.float32)

    def provenance(self):
        return {"representation": self.name, "version": 1}


class TwoNetworks:
    """Hear happy with the peak's probability (else sad), male likewise, 100 * peak -+ 2 years."""

    def predict(self, x: torch.Tensor) -> model.Prediction:
        p = x[:, 0]
        nothing = torch.zeros_like(p)
        emotion = torch.stack([nothing, nothing, nothing, p, nothing, 1 - p], dim=-1)
        gender = torch.stack([1 - p, p], dim=-1)
        ages = torch.stack([100 * p - 2, 100 * p + 2])
        return model.Prediction(emotion.expand(2, -1, -1), gender.expand(2, -1, -1), ages)


@pytest.fixture
def plain() -> Predictor:
    return Predictor(TwoNetworks(), [Loudness()], {"age_interval": {"half_width": 17.0}})


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return Predictor.load()


def square(*peaks: float, seconds: float = 1.0) -> np.ndarray:
    """A wave of one sample up and one down, `seconds` at each of `peaks`."""
    wave = np.tile([1.0, -1.0], round(seconds * audio.RATE / 2))
    return np.concatenate([peak * wave for peak in peaks]).astype(np.float32)


class TestShortAudio:
    def test_is_answered_by_the_mean_of_the_networks(self, plain):
        heard = plain.predict((square(0.25, 0.25), audio.RATE))
        assert heard.emotion == pytest.approx(
            {"anger": 0, "disgust": 0, "fear": 0, "happy": 0.25, "neutral": 0, "sad": 0.75}
        )
        assert heard.gender == pytest.approx({"female": 0.75, "male": 0.25})
        assert heard.age == pytest.approx(25)
        assert heard.seconds == 2.0
        assert heard.notes == ()

    def test_has_an_interval_as_wide_as_the_card_says(self, plain):
        heard = plain.predict((square(0.5), audio.RATE))
        assert (heard.age_low, heard.age_high) == pytest.approx((33, 67))

    def test_has_no_interval_below_0_years(self, plain):
        heard = plain.predict((square(0.1), audio.RATE))
        assert (heard.age_low, heard.age_high) == pytest.approx((0, 27))

    def test_is_one_window_up_to_5_seconds(self, plain):
        line = plain.predict((square(0.5, seconds=5), audio.RATE)).timeline
        assert (line.starts.tolist(), line.ends.tolist()) == ([0.0], [5.0])


class TestLongAudio:
    def test_is_heard_in_windows_that_end_with_it(self, plain):
        line = plain.predict((square(0.5, seconds=7.2), audio.RATE)).timeline
        assert (WINDOW, HOP) == (2.5, 2.0)
        assert line.starts.tolist() == pytest.approx([0, 2, 4, 4.7])
        assert line.ends.tolist() == pytest.approx([2.5, 4.5, 6.5, 7.2])

    def test_is_answered_by_the_mean_of_its_windows(self, plain):
        """4.5 s of 0.2, then 2 s of 0.6: the windows from 0 and 2 s hear 0.2, the last 0.6."""
        heard = plain.predict((square(*[0.2] * 9, *[0.6] * 4, seconds=0.5), audio.RATE))
        assert heard.timeline.age == pytest.approx([20, 20, 60])
        assert heard.age == pytest.approx(100 / 3)
        assert heard.emotion["happy"] == pytest.approx(1 / 3)

    def test_leaves_silent_windows_out_and_says_so(self, plain):
        """Four seconds of 0.6, then four of nothing: the windows from 4 and 5.5 s are silent."""
        heard = plain.predict((square(0.6, 0, seconds=4), audio.RATE))
        assert heard.timeline.starts.tolist() == pytest.approx([0, 2, 4, 5.5])
        assert heard.timeline.silent.tolist() == [False, False, True, True]
        assert heard.age == pytest.approx(60)
        assert heard.notes == ("left out 2 of 4 windows, which are silent",)

    def test_is_in_order_however_many_windows_there_are(self, plain):
        peaks = np.linspace(0.1, 0.9, 90)
        line = plain.predict((square(*peaks), audio.RATE)).timeline
        assert len(line.starts) == 45
        assert (np.diff(line.age) > 0).all()

    def test_tells_its_progress_up_to_all_of_it(self, plain):
        shares = []
        plain.predict((square(0.5, seconds=60), audio.RATE), progress=shares.append)
        assert shares == sorted(shares)
        assert len(shares) > 2
        assert shares[-1] == 1.0

    def test_leaves_torch_its_threads(self, plain):
        before = torch.get_num_threads()
        plain.predict((square(0.5, seconds=60), audio.RATE))
        assert torch.get_num_threads() == before


def test_a_prediction_is_json_with_none_for_silent_windows(plain):
    heard = plain.predict((square(0.6, 0, seconds=4), audio.RATE)).to_dict()
    again = json.loads(json.dumps(heard, allow_nan=False))
    assert again["timeline"][0]["emotion"]["happy"] == pytest.approx(0.6)
    assert again["timeline"][3] == {
        "start": 5.5, "end": 8.0, "emotion": None, "gender": None, "age": None,
    }  # fmt: skip
    assert again["notes"] == ["left out 2 of 4 windows, which are silent"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "is empty"),
        (b"no audio at all, whatever its name says", "cannot be decoded"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "is MPEG-4"),
        ((np.zeros(16_000), 16_000), "is silent"),
        ((np.zeros(800), 16_000), "is only 50 ms long"),
        ((np.full(16_000, np.nan), 16_000), "NaN or infinite"),
        (ROOT / "nothing.wav", "was not found"),
        (ROOT, "is a folder"),
    ],
)
def test_audio_that_cannot_be_used_is_one_sentence(plain, source, words):
    with pytest.raises(AudioError, match=words):
        plain.predict(source)


def test_audio_over_the_limit_is_refused(plain):
    with pytest.raises(AudioError, match=r"over the limit of 0\.01 MB"):
        plain.predict(encode(sine()), max_bytes=10_000)


def test_a_drift_without_sound_is_silent_in_every_part(plain):
    """0.0006 of full scale over a minute: each window's share is below what counts as sound."""
    with pytest.raises(AudioError, match="silent in every part"):
        plain.predict((np.linspace(0, 6e-4, 60 * audio.RATE), audio.RATE))


def test_samples_beyond_all_scale_are_refused_rather_than_answered_by_nan(shipped):
    with pytest.raises(AudioError, match="beyond full scale"):
        shipped.predict((sine() * 1e30, audio.RATE))


class TestTheModelThatShips:
    def test_hears_what_the_feature_tables_hold(self, shipped):
        """The same road as training: file, waveform, vectors, network."""
        table = features.read("dvector_layers+mfcc_delta").at([CLIP.stem])
        said = shipped._network.predict(torch.from_numpy(table))
        heard = shipped.predict(CLIP)
        assert heard.age == pytest.approx(float(said.age.mean()), abs=0.05)
        emotion = said.emotion.mean(dim=0)[0].tolist()
        assert list(heard.emotion.values()) == pytest.approx(emotion, abs=1e-3)

    def test_answers_the_same_for_a_path_its_bytes_and_its_waveform(self, shipped):
        read = audio.read(CLIP)
        by_path = shipped.predict(CLIP).to_dict()
        assert shipped.predict(str(CLIP)).to_dict() == by_path
        assert shipped.predict(CLIP.read_bytes()).to_dict() == by_path
        assert shipped.predict((read.samples, audio.RATE)).to_dict() == by_path

    def test_gives_probabilities_that_sum_to_1(self, shipped):
        heard = shipped.predict(CLIP)
        assert isinstance(heard, Prediction)
        assert tuple(heard.emotion) == corpora.EMOTIONS
        assert sum(heard.emotion.values()) == pytest.approx(1)
        assert sum(heard.gender.values()) == pytest.approx(1)
        assert heard.age_low < heard.age < heard.age_high

    @pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
    def test_hears_any_rate_any_channels_and_any_samples(self, shipped, rate):
        import soxr

        at_rate = soxr.resample(audio.read(CLIP).samples, audio.RATE, rate)
        surround = np.stack([at_rate] * 6, axis=1)
        heard = shipped.predict(encode(surround, rate, subtype="PCM_24"))
        assert f"resampled from {rate} Hz" in heard.notes
        assert "averaged 6 channels" in heard.notes
        same = shipped.predict(CLIP)
        if rate > audio.RATE:  # 8 kHz lacks the upper half of what it was trained on
            assert heard.age == pytest.approx(same.age, abs=3)

    def test_runs_without_downloading_anything(self, shipped):
        used = {r["representation"] for r in shipped.card["representations"]}
        assert used <= set(representations.OFFLINE)

    def test_was_trained_on_the_corpus_as_it_is(self, shipped):
        data = shipped.card["data"]
        assert data["corpus_sha256"] == corpora.corpus_hash()
        assert data["clips"] == len(corpora.clips())
        assert data["speakers"] == 91

    def test_states_what_a_card_has_to_state(self, shipped):
        card = shipped.card
        metrics = card["evaluation"]["metrics"]
        assert all(m["low"] <= m["value"] <= m["high"] for m in metrics.values())
        assert {"female", "male"} < set(card["evaluation"]["groups"])
        assert "speaker-disjoint" in card["evaluation"]["protocol"]
        assert card["limits"] and card["uses"]["intended"] and card["uses"]["refused"]

    def test_has_an_interval_that_held_for_speakers_it_was_not_calibrated_on(self, shipped):
        covered = shipped.card["age_interval"]["coverage"]
        assert covered["low"] <= shipped.card["age_interval"]["level"] <= covered["high"]

    def test_hears_happiness_in_the_example(self, shipped):
        emotion = shipped.predict(CLIP).emotion
        assert max(emotion, key=emotion.get) == "happy"


class TestKeepingAModel:
    def test_a_saved_model_says_the_same_and_holds_no_pickle(self, shipped, tmp_path):
        shipped.save(tmp_path)
        assert {f.name for f in tmp_path.iterdir()} == {"card.json", "model.safetensors"}
        assert (tmp_path / "model.safetensors").read_bytes()[8:9] == b"{"
        again = Predictor.load(tmp_path)
        assert again.predict(CLIP).to_dict() == shipped.predict(CLIP).to_dict()

    def test_damaged_weights_are_refused(self, shipped, tmp_path):
        weights = shipped.save(tmp_path) / "model.safetensors"
        damaged = bytearray(weights.read_bytes())
        damaged[-1] ^= 1
        weights.write_bytes(damaged)
        with pytest.raises(ModelError, match="is damaged"):
            Predictor.load(tmp_path)

    def test_missing_weights_are_refused(self, shipped, tmp_path):
        (shipped.save(tmp_path) / "model.safetensors").unlink()
        with pytest.raises(ModelError, match="cannot be read"):
            Predictor.load(tmp_path)

    def test_weights_of_another_network_are_refused(self, shipped, tmp_path):
        edit_card(shipped.save(tmp_path), lambda card: card["network"].update(dimension=7))
        with pytest.raises(ModelError, match="does not fit"):
            Predictor.load(tmp_path)

    def test_vectors_of_another_version_are_refused(self, shipped, tmp_path):
        edit_card(shipped.save(tmp_path), lambda card: card["representations"][0].update(version=0))
        with pytest.raises(PersonaError, match="version 0, here it is 1"):
            Predictor.load(tmp_path)

    @pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
    def test_a_card_that_is_none_is_refused(self, tmp_path, content):
        (tmp_path / "card.json").write_text(content)
        with pytest.raises(ModelError, match="is not the card of a model"):
            Predictor.load(tmp_path)

    def test_a_card_of_another_format_is_refused(self, tmp_path):
        (tmp_path / "card.json").write_text('{"format": 2}')
        with pytest.raises(ModelError, match="has format 2, this version reads format 1"):
            Predictor.load(tmp_path)

    def test_a_folder_without_a_model_says_how_to_make_one(self, tmp_path):
        with pytest.raises(ModelError, match="persona train"):
            Predictor.load(tmp_path)

    def test_a_name_of_nothing_is_refused(self):
        with pytest.raises(ModelError, match="There is no model 'no such/folder/here'"):
            Predictor.load("no such/folder/here")


def edit_card(folder: Path, edit) -> None:
    card = json.loads((folder / "card.json").read_text())
    edit(card)
    (folder / "card.json").write_text(json.dumps(card))


class TestSharingAModel:
    @pytest.fixture
    def hub(self, shipped, tmp_path, monkeypatch):
        shipped.save(tmp_path / "published" / "someone" / "persona")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        with Hub(tmp_path / "published") as running:
            use_hub(running.endpoint, monkeypatch)
            yield running

    def test_a_name_on_the_hub_is_downloaded_at_one_commit(self, shipped, hub):
        heard = Predictor.load("someone/persona").predict(CLIP)
        assert heard.to_dict() == shipped.predict(CLIP).to_dict()
        assert f"GET /someone/persona/resolve/{COMMIT}/model.safetensors" in hub.asked

    def test_what_was_downloaded_serves_where_there_is_no_network(self, hub, monkeypatch):
        Predictor.load("someone/persona")
        use_hub("http://127.0.0.1:9", monkeypatch)
        assert Predictor.load("someone/persona").card["data"]["clips"] == 7435

    def test_a_name_the_hub_does_not_know_is_one_sentence(self, hub):
        with pytest.raises(ModelError, match="has no model someone/else"):
            Predictor.load("someone/else")

    def test_a_revision_the_hub_does_not_know_is_one_sentence(self, hub):
        with pytest.raises(ModelError, match="no revision v9 of someone/persona"):
            Predictor.load("someone/persona", revision="v9")

    def test_a_model_is_pushed_with_its_card_and_weights(self, shipped, monkeypatch):
        pushed = {}

        class Api:
            def create_repo(self, name, **options):
                pushed.update(name=name, **options)
                return f"https://hub/{name}"

            def upload_folder(self, *, repo_id, folder_path):
                pushed["files"] = sorted(p.name for p in Path(folder_path).iterdir())

        monkeypatch.setattr("huggingface_hub.HfApi", Api)
        assert shipped.push_to_hub("someone/persona", private=True) == "https://hub/someone/persona"
        assert pushed == {
            "name": "someone/persona", "private": True, "exist_ok": True,
            "files": ["card.json", "model.safetensors"],
        }  # fmt: skip


def use_hub(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


class TestTheAgeInterval:
    def test_is_a_quantile_that_keeps_a_share_for_a_speaker_nobody_has_heard(self):
        """Four speakers weigh 1/5 each: 3 of 5 are reached at the third residual, 4 at the last."""
        residuals, speakers = np.array([4.0, 1.0, 3.0, 2.0]), np.array([1, 2, 3, 4])
        assert release.half_width(residuals, speakers, 0.6) == 3.0
        assert release.half_width(residuals, speakers, 0.8) == 4.0
        assert release.half_width(residuals, speakers, 0.81) == np.inf

    def test_counts_speakers_alike_whatever_their_number_of_clips(self):
        """One speaker of 8 clips with residual 1, two of one clip: weights 8 * 1/32, 1/4, 1/4."""
        residuals = np.array([1.0] * 8 + [5.0, 9.0])
        speakers = np.array([1] * 8 + [2, 3])
        assert release.half_width(residuals, speakers, 0.5) == 5.0

    def test_is_checked_on_speakers_it_was_not_calibrated_on(self):
        """Two folds of five speakers: residuals 1 to 5, and 11 to 15. At 80 % the calibration on
        five speakers takes the largest, so the first fold is covered whole, the second not at
        all."""
        residuals = np.array([1.0, 2, 3, 4, 5, 11, 12, 13, 14, 15])
        rows = pd.DataFrame(
            {"fold": [0] * 5 + [1] * 5, "speaker": range(10), "age_is": [20] * 5 + [50] * 5,
             "gender": ["female"] * 5 + ["male"] * 5}
        )  # fmt: skip
        covered = release.coverage(residuals, rows)
        assert covered["coverage"]["value"] == 0.5
        assert covered["coverage_of_groups"] == {
            "female": 1.0, "male": 0.0, "aged 29 or under": 1.0, "aged 45 to 59": 0.0,
        }  # fmt: skip


def test_the_ensemble_averages_each_clips_seeds():
    columns = {f"p_{emotion}": 0.0 for emotion in corpora.EMOTIONS}
    rows = pd.DataFrame(
        [
            {"clip": "a", "seed": 0, "fold": 3, "p_female": 0.2, "age": 30.0, **columns},
            {"clip": "a", "seed": 1, "fold": 1, "p_female": 0.6, "age": 40.0, **columns},
        ]
    )
    (row,) = release.ensemble(rows).to_dict("records")
    assert (row["p_female"], row["age"], row["fold"]) == (pytest.approx(0.4), 35.0, 3)


class TestTraining:
    def test_on_a_small_corpus_makes_a_model_that_can_be_loaded(self, tmp_path, monkeypatch):
        from persona.training import Settings

        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
        release.train(["mfcc"], tmp_path / "model", seeds=1, settings=Settings(epochs=1, steps=5))
        loaded = Predictor.load(tmp_path / "model")
        assert loaded.card["training"]["epochs"] == 1
        assert [r["representation"] for r in loaded.card["representations"]] == ["mfcc"]
        assert loaded.predict(CLIP).age_low < loaded.predict(CLIP).age_high

    def test_does_not_put_another_model_in_the_place_of_the_one_that_ships(self):
        assert release.out_folder().name == "default"
        assert release.out_folder(["xvector"]).name == "xvector"


def test_import_persona_imports_nothing_heavy():
    script = "import persona, sys; print('numpy' in sys.modules, 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert shown.stdout == "False False\n"
    assert persona.Predictor is Predictor
    with pytest.raises(AttributeError):
        persona.nothing  # noqa: B018


def test_predicting_imports_no_training_and_no_pandas():
    script = (
        f"import persona, sys; persona.Predictor.load().predict({str(CLIP)!r})\n"
        "print([m for m in ('pandas', 'persona.training', 'transformers') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert shown.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak memory")
def test_20_minutes_take_no_more_memory_than_2():
    """Resident memory at its highest, in a process of its own; the audio alone would be 77 MB."""
    script = (
        "import sys, persona, soundfile\n"
        "from pathlib import Path\n"
        f"clip = soundfile.read({str(CLIP)!r})[0]\n"
        "hear = persona.Predictor.load()\n"
        # Not ru_maxrss, which a process inherits from the one that started it.
        "status = lambda: Path('/proc/self/status').read_text()\n"
        "peak = lambda: int(status().split('VmHWM:')[1].split()[0]) / 1024\n"
        "for minutes in (2, 20):\n"
        "    with soundfile.SoundFile(sys.argv[1], 'w', 16000, 1) as file:\n"
        "        for _ in range(round(minutes * 60 / (len(clip) / 16000))): file.write(clip)\n"
        "    assert hear.predict(sys.argv[1]).seconds > 59 * minutes\n"
        "    print(peak())\n"
    )
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".wav") as long:
        shown = subprocess.run(
            [sys.executable, "-c", script, long.name],
            capture_output=True, text=True, cwd=ROOT, check=True,
        )  # fmt: skip
    two, twenty = map(float, shown.stdout.split())
    assert twenty < 1_000
    assert twenty - two < 40


def test_those_from_the_hub_are_not_asked_by_several_threads_at_once(plain):
    plain._representations = [SimpleNamespace(name="xvector")]
    assert not plain._concurrent()
