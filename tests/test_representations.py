"""Representations that need no download: equal to the libraries they come from, clip by clip."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hub_server import same_sound_at_16_and_48_khz

from persona import representations
from persona.errors import PersonaError

RATE = 16_000
CHECKOUT = Path(__file__).parent.parent

OFFLINE = [
    name for name in representations.NAMES if not representations.class_of(name).needs_download
]
VARIANTS = [
    *((name, {}) for name in OFFLINE),
    ("mfcc", {"pooling": "mean+std+delta"}),
    ("dvector", {"layer": "lstm2+lstm3"}),
    ("campplus", {"layer": "block2+block3"}),
]


def voices(*seconds: float) -> list[np.ndarray]:
    """Buzzes with a moving pitch: something with formant-free voicing, at speech level."""
    made = []
    for i, length in enumerate(seconds):
        t = np.arange(int(length * RATE)) / RATE
        pitch = 120 + 40 * i + 20 * np.sin(2 * np.pi * 2 * t)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        made.append((0.1 * np.sign(np.sin(phase)) * (1 + np.sin(9 * t)) / 2).astype(np.float32))
    return made


@pytest.fixture(
    scope="module", params=VARIANTS, ids=lambda v: "-".join([v[0], *map(str, v[1].values())])
)
def representation(request):
    name, parameters = request.param
    return representations.load(name, **parameters)


@pytest.fixture
def tolerance(representation):
    """What rounding may make of a value that lies between two steps."""
    if representation.dtype == "int8":
        return 1
    return 1 / 512 if getattr(representation, "layer", "").startswith("lstm") else 0


class TestEveryRepresentation:
    def test_gives_one_finite_vector_per_clip(self, representation):
        vectors = representation.embed(voices(1.0, 2.5, 4.0))
        assert vectors.shape == (3, representation.dimension)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        if representation.dtype == "int8":
            assert np.array_equal(vectors, vectors.astype(np.int8))

    def test_gives_no_vector_for_no_clip(self, representation):
        vectors = representation.embed([])
        assert vectors.shape == (0, representation.dimension)
        assert vectors.dtype == np.float32

    def test_a_clip_embeds_the_same_alone_and_in_company(self, representation, tolerance):
        clips = voices(1.0, 2.5, 4.0, 0.7)
        together = representation.embed(clips)
        alone = np.concatenate([representation.embed([clip]) for clip in clips])
        assert np.allclose(together, alone, rtol=1e-3, atol=1e-5 + tolerance)

    def test_survives_silence_and_a_tenth_of_a_second(self, representation):
        clips = [np.zeros(RATE, np.float32), voices(0.1)[0]]
        assert np.isfinite(representation.embed(clips)).all()

    def test_embeds_in_several_threads_if_it_says_so(self, representation, tolerance):
        if not representation.thread_safe:
            pytest.skip(f"{representation.name} does not say so")
        clips = voices(1.0, 0.4, 2.0, 0.7)
        expected = [representation.embed([clip]) for clip in clips]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda clip: representation.embed([clip]), clips * 4))
        for vector, wanted in zip(found, expected * 4, strict=True):
            assert np.allclose(vector, wanted, rtol=1e-5, atol=1e-6 + tolerance)

    def test_embeds_48_khz_in_stereo_like_the_same_sound_at_16_khz(self, representation, tmp_path):
        low, high = same_sound_at_16_and_48_khz(tmp_path)
        same, nearly, other = representation.embed([low, high, *voices(1.0)]).astype(float)
        assert np.linalg.norm(nearly - same) < 0.3 * np.linalg.norm(other - same)

    def test_comes_back_from_its_provenance(self, representation):
        made_by = representation.provenance()
        restored = representations.restore(made_by | {"corpus": "CREMA-D"})
        assert restored.provenance() == made_by
        assert restored.dimension == representation.dimension


@pytest.mark.parametrize("name", representations.NAMES)
def test_says_what_it_is_before_anything_is_loaded(name):
    made_by = representations.class_of(name)
    assert made_by.name == name
    assert made_by.title
    assert made_by.kind in ("acoustic features", "speaker recognition", "general speech")
    assert made_by.rate == RATE
    assert made_by.version >= 1
    assert made_by.libraries
    assert isinstance(made_by.thread_safe, bool)
    assert isinstance(made_by.needs_download, bool)


def test_are_named_and_described_without_a_heavy_import():
    script = (
        "import sys; from persona import representations as r\n"
        "titles = [r.class_of(name).title for name in r.NAMES]\n"
        "heavy = {'torch', 'librosa', 'pandas', 'transformers', 'speechbrain', 'huggingface_hub',\n"
        "         'opensmile', 'resemblyzer', 'numba', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=True)


TOY = '''\
"""Loudness: the toy among representations."""

import numpy as np


class Loudness:
    name, title, kind = "loudness", "Loudness", "acoustic features"
    dimension, rate, version, dtype = 2, 16_000, 1, "float32"
    libraries, thread_safe, needs_download = ("numpy",), True, False

    def embed(self, waveforms):
        pooled = [[np.abs(w).mean(), np.square(w).mean()] for w in waveforms]
        return np.array(pooled, np.float32).reshape(-1, 2)

    def provenance(self):
        return {"representation": self.name, "version": self.version}
'''


def test_another_one_is_one_file_and_one_line(tmp_path):
    shutil.copytree(CHECKOUT / "persona", tmp_path / "persona")
    folder = tmp_path / "persona" / "representations"
    (folder / "loudness.py").write_text(TOY)
    registry = (folder / "__init__.py").read_text()
    line = '    "mfcc": "MFCC",\n'
    assert registry.count(line) == 1
    (folder / "__init__.py").write_text(
        registry.replace(line, line + '    "loudness": "Loudness",\n')
    )
    script = (
        "import numpy as np; from persona import representations as r\n"
        "assert r.NAMES[1] == 'loudness', r.NAMES\n"
        "toy = r.load('loudness')\n"
        "assert toy.embed([np.ones(10, np.float32)]).tolist() == [[1, 1]]\n"
        "assert r.restore(toy.provenance()).title == 'Loudness'\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


class TestMFCC:
    def test_are_those_of_librosa_pooled(self):
        import librosa

        clip = voices(2.0)[0]
        frames = librosa.feature.mfcc(
            y=clip, sr=RATE, n_mfcc=40, n_fft=400, hop_length=160, n_mels=64
        )
        expected = np.concatenate([frames.mean(axis=1), frames.std(axis=1)])
        assert np.allclose(representations.load("mfcc").embed([clip])[0], expected, atol=1e-2)

    @pytest.mark.parametrize(
        ("pooling", "dimension"), [("mean", 40), ("mean+std", 80), ("mean+std+delta", 160)]
    )
    def test_pooling_is_a_parameter_and_longer_ones_begin_with_shorter_ones(
        self, pooling, dimension
    ):
        clip = voices(2.0)
        pooled = representations.load("mfcc", pooling=pooling).embed(clip)
        everything = representations.load("mfcc", pooling="mean+std+delta").embed(clip)
        assert pooled.shape == (1, dimension)
        assert np.allclose(pooled, everything[:, :dimension])


class TestDVector:
    def test_is_what_resemblyzer_gives_for_speech_at_its_level(self):
        import resemblyzer

        encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
        clip = voices(3.0)[0]
        level = 10 ** (-30 / 20) / np.sqrt(np.mean(clip**2))
        assert level < 1  # louder than -30 dBFS: left as it is
        ours = representations.load("dvector").embed([clip])[0]
        assert np.allclose(ours, encoder.embed_utterance(clip), atol=1e-6)
        assert np.linalg.norm(ours) == pytest.approx(1, abs=1e-5)

    def test_does_not_depend_on_how_quiet_the_clip_is(self):
        clip = voices(2.0)[0]
        dvector = representations.load("dvector")
        near, far = dvector.embed([clip * 0.02])[0], dvector.embed([clip * 0.002])[0]
        assert np.allclose(near, far, atol=1e-4)

    def test_layers_are_mean_and_deviation_of_what_the_lstm_gives(self):
        import resemblyzer
        import torch
        from resemblyzer.audio import wav_to_mel_spectrogram

        encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
        clip = voices(2.0)[0]
        with torch.inference_mode():
            outputs, _ = encoder.lstm(torch.from_numpy(wav_to_mel_spectrogram(clip))[None])
        last = outputs[0].numpy()
        expected = np.concatenate([last.mean(axis=0), last.std(axis=0)])
        vector = representations.load("dvector", layer="lstm3").embed([clip])[0]
        assert np.allclose(vector, expected, atol=1 / 512)
        assert np.array_equal(vector * 512, np.round(vector * 512))

    def test_layers_are_joined_by_a_plus(self):
        clip = voices(1.0)
        second, third, both = (
            representations.load("dvector", layer=layer).embed(clip)
            for layer in ("lstm2", "lstm3", "lstm3+lstm2")
        )
        assert second.shape == (1, 512)
        assert np.array_equal(both, np.concatenate([third, second], axis=1))


def test_egemaps_are_those_of_opensmile():
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    clip = voices(2.0)[0]
    egemaps = representations.load("egemaps")
    expected = smile.process_signal(clip, RATE)
    assert egemaps.columns == list(expected.columns)
    assert np.allclose(egemaps.embed([clip])[0], expected.to_numpy()[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("hubert", {}, "no representation 'hubert'; choose from mfcc"),
        ("dvector", {"pooling": "mean"}, "dvector has no parameter pooling"),
        ("dvector", {"layer": "lstm4"}, "dvector has no layer 'lstm4': choose from lstm1"),
        ("dvector", {"layer": "lstm2+lstm2"}, "dvector has no layer"),
        ("mfcc", {"pooling": "max"}, "MFCC pooling 'max': choose from mean"),
        ("mfcc", {"coefficients": 65}, "65 MFCCs: choose from 1 to 64"),
        ("mfcc", {"coefficients": "40"}, "coefficients of mfcc cannot be '40'"),
        ("mfcc", {"coefficients": float("nan")}, "coefficients of mfcc cannot be nan"),
    ],
)
def test_a_wrong_name_or_parameter_is_one_sentence(name, parameters, message):
    with pytest.raises(PersonaError, match=message) as caught:
        representations.load(name, **parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "made with version 0, here it is 1"),
        ({"representation": None}, "no representation 'None'"),
        ({"coefficients": None}, "cannot be None"),
        ({"pooling": ["mean"]}, "cannot be"),
    ],
)
def test_vectors_that_this_code_does_not_make_are_refused(change, message):
    made_by = representations.load("mfcc").provenance()
    with pytest.raises(PersonaError, match=message):
        representations.restore(made_by | change)


UNWRITABLE = """
import numpy, os, sys
from persona import representations
from persona.errors import PersonaError

try:
    for name in ("mfcc", "dvector"):
        clips = [numpy.sin(numpy.arange(8000, dtype=numpy.float32))]
        assert numpy.isfinite(representations.load(name).embed(clips)).all()
    clips = representations.load("mfcc", pooling="mean+std+delta").embed(clips)
except PersonaError as error:
    sys.exit(f"PersonaError: {error}")
print(os.environ["NUMBA_CACHE_DIR"])
"""


def without_a_home(script: str, **variables: str) -> subprocess.CompletedProcess:
    nowhere = {name: "/proc/none" for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    # Without the locator that writes beside the source: the environment is read-only.
    nowhere["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator,UserWideCacheLocator"
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | nowhere | {"PYTHONDONTWRITEBYTECODE": "1"} | variables,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )


def test_librosa_works_where_nothing_can_be_written_and_leaves_nothing_behind(tmp_path):
    finished = without_a_home(UNWRITABLE, TMPDIR=str(tmp_path))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_without_a_temporary_folder_either_one_sentence_names_the_variable():
    no_folder = "import tempfile; tempfile.mkdtemp = lambda prefix: open('/proc/none/x')\n"
    finished = without_a_home(no_folder + UNWRITABLE)
    assert finished.returncode == 1
    assert finished.stderr.startswith("PersonaError: numba has no folder"), finished.stderr
    assert "NUMBA_CACHE_DIR" in finished.stderr
    assert "Traceback" not in finished.stderr
