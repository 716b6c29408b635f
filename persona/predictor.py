"""Audio in, emotion, gender and age out: the same road as training, over a trained network."""

import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persona import audio, paths, representations
from persona.corpora import EMOTIONS, GENDERS
from persona.errors import AudioError, ModelError
from persona.representations import Representation

if TYPE_CHECKING:
    from persona.model import Network

WHOLE = 5.0
"""Seconds up to which audio is heard as one clip, as in training (the longest clip has 5.0 s)."""

WINDOW, HOP = 2.5, 2.0
"""Length and distance, in seconds, of windows of longer audio; the median clip has 2.5 s."""

_FARTHEST = 1_000_000  # times full scale; far beyond, spectra overflow
_BATCH = 10  # windows given to a worker at once
_CARD, _WEIGHTS = "card.json", "model.safetensors"
_FORMAT = 1


@dataclass(frozen=True)
class Timeline:
    """What was heard in each of n windows, which may overlap.

    starts, ends : seconds, shape (n,).
    emotion : probabilities, shape (n, 6), in the order of `corpora.EMOTIONS`.
    gender : probabilities, shape (n, 2), in the order of `corpora.GENDERS`.
    age : years, shape (n,).

    A silent window has NaN in place of answers.
    """

    starts: np.ndarray
    ends: np.ndarray
    emotion: np.ndarray
    gender: np.ndarray
    age: np.ndarray

    @property
    def silent(self) -> np.ndarray:
        """Whether each window is silent, shape (n,)."""
        return np.isnan(self.age)


@dataclass(frozen=True)
class Prediction:
    """What was heard in one recording.

    emotion, gender : probability of each class; they sum to 1.
    age : years, with the limits of its interval; `age_low` is never below 0. In the interval of
        the model that ships lie 80 % of the true ages, for speakers it was not trained on.
    seconds : length of what was heard.
    notes : what was assumed, e.g. "resampled from 44100 Hz".
    timeline : the same answers over time; the whole is their mean without the silent windows.
    """

    emotion: dict[str, float]
    gender: dict[str, float]
    age: float
    age_low: float
    age_high: float
    seconds: float
    notes: tuple[str, ...]
    timeline: Timeline

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, for JSON; None for answers of silent windows."""
        line = self.timeline
        windows = [
            {
                "start": float(line.starts[i]),
                "end": float(line.ends[i]),
                "emotion": None if silent else _named(EMOTIONS, line.emotion[i]),
                "gender": None if silent else _named(GENDERS, line.gender[i]),
                "age": None if silent else float(line.age[i]),
            }
            for i, silent in enumerate(line.silent)
        ]
        return {
            "emotion": self.emotion,
            "gender": self.gender,
            "age": self.age,
            "age_low": self.age_low,
            "age_high": self.age_high,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "timeline": windows,
        }


class Predictor:
    """A trained ensemble and the representations it hears through; make one with `load`.

    Parameters
    ----------
    network : a stack of networks; their probabilities and ages are averaged.
    heard_through : representations whose vectors, side by side, are the network's input.
    card : what the model is, see `card`.

    Example
    -------
    >>> predictor = Predictor.load()
    >>> predictor.predict("talk.mp3").emotion["happy"]
    """

    card: dict[str, Any]
    """What the model is: data, training, evaluation, interval, limits and uses."""

    def __init__(
        self, network: "Network", heard_through: Sequence[Representation], card: dict[str, Any]
    ) -> None:
        self._network, self._representations, self.card = network, heard_through, card

    @classmethod
    def load(
        cls, model: str | os.PathLike[str] | None = None, *, revision: str | None = None
    ) -> "Predictor":
        """Load the model that ships, one from a folder, or one from the Hugging Face hub.

        Parameters
        ----------
        model : a folder, or a name on the hub such as "someone/persona"; default the one shipped.
        revision : branch, tag or commit on the hub.

        Raises
        ------
        ModelError : there is no such model, it is damaged, or it was trained on vectors that this
            version of the package does not compute.
        WeightsError : weights of its representation are not here and cannot be downloaded.
        """
        folder = _folder(model, revision)
        card = _read_card(folder)
        return cls(_read_network(folder, card), _restore(card), card)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `model.safetensors` and `card.json` to `folder` and return it."""
        from safetensors.torch import save

        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        weights = save(self._network.state_dict())
        self.card["format"] = _FORMAT
        self.card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        for name, content in (
            (_WEIGHTS, weights),
            (_CARD, (json.dumps(self.card, indent=1, ensure_ascii=False) + "\n").encode()),
        ):
            unfinished = out / f"{name}.unfinished"
            unfinished.write_bytes(content)
            unfinished.replace(out / name)
        return out

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Share the model on the Hugging Face hub as `name` ("owner/model"); returns its address.

        Uses the account of `hf auth login` or of HF_TOKEN.
        """
        from tempfile import TemporaryDirectory

        from huggingface_hub import HfApi

        hub = HfApi()
        address = hub.create_repo(name, private=private, exist_ok=True)
        with TemporaryDirectory() as folder:
            self.save(folder)
            hub.upload_folder(repo_id=name, folder_path=folder)
        return str(address)

    def predict(
        self,
        source: audio.Source,
        *,
        name: str | None = None,
        max_bytes: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Hear one recording, of any length, in memory that does not grow with its audio.

        Parameters
        ----------
        source : path, bytes of a file, or `(waveform, rate)`; see `audio.Reader`.
        name : what messages call the audio, by default the name of the file.
        max_bytes : largest file read, by default PERSONA_MAX_MB of the environment or 200 MB.
        progress : called now and then with the share of the audio that was heard, 0 to 1.

        Raises
        ------
        AudioError : the audio cannot be used; the message says why.
        """
        with audio.Reader(source, name=name, max_bytes=max_bytes) as reader:
            lengths = (WHOLE, WHOLE) if reader.seconds <= WHOLE else (WINDOW, HOP)
            parts = []
            for part in self._hear_all(reader.windows(*lengths)):
                parts.append(part)
                if progress:
                    progress(min(1.0, float(part.ends[-1]) / reader.seconds))
            return self._summary(_joined(parts), reader.notes)

    def _hear_all(self, windows: Iterator[tuple[float, np.ndarray]]) -> Iterator[Timeline]:
        """Timelines of batches of windows, in order; a few batches are in memory at a time."""
        waiting: deque[Future[Timeline]] = deque()
        with _workers(self._concurrent()) as pool:
            while batch := list(islice(windows, _BATCH)):
                waiting.append(pool.submit(self._hear, batch))
                if len(waiting) > 4:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _concurrent(self) -> bool:
        """Those from the hub are not made for several threads at once."""
        return all(r.name in representations.OFFLINE for r in self._representations)

    def _hear(self, windows: list[tuple[float, np.ndarray]]) -> Timeline:
        import torch

        starts = np.array([start for start, _ in windows])
        ends = starts + [len(samples) / audio.RATE for _, samples in windows]
        loud = np.array([np.ptp(samples) / 2 >= audio.SILENCE for _, samples in windows])
        emotion = np.full((len(windows), len(EMOTIONS)), np.nan)
        gender = np.full((len(windows), len(GENDERS)), np.nan)
        age = np.full(len(windows), np.nan)
        if loud.any():
            heard = [
                samples for (_, samples), is_loud in zip(windows, loud, strict=True) if is_loud
            ]
            if max(abs(samples).max() for samples in heard) > _FARTHEST:
                raise AudioError(
                    f"The audio is over {_FARTHEST:,} times beyond full scale: scale it to +-1."
                )
            vectors = np.hstack([r.embed(heard) for r in self._representations])
            said = self._network.predict(torch.from_numpy(vectors))
            emotion[loud], gender[loud], age[loud] = (part.mean(dim=0).numpy() for part in said)
        return Timeline(starts, ends, emotion, gender, age)

    def _summary(self, line: Timeline, notes: tuple[str, ...]) -> Prediction:
        loud = ~line.silent
        if not loud.any():
            raise AudioError("The audio is silent in every part: record it again.")
        if left_out := int(line.silent.sum()):
            notes = (*notes, f"left out {left_out} of {len(loud)} windows, which are silent")
        age, half = float(line.age[loud].mean()), float(self.card["age_interval"]["half_width"])
        return Prediction(
            emotion=_named(EMOTIONS, line.emotion[loud].mean(axis=0)),
            gender=_named(GENDERS, line.gender[loud].mean(axis=0)),
            age=age,
            age_low=max(0.0, age - half),
            age_high=age + half,
            seconds=float(line.ends[-1]),
            notes=notes,
            timeline=line,
        )


@contextmanager
def _workers(several: bool) -> Iterator[ThreadPoolExecutor]:
    """Threads that hear windows side by side, each on one core.

    A recurrent network takes many small steps: sharing each among torch's own threads costs more
    than it gains, above all on a busy machine.
    """
    import torch

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads if several else 1, "hear", torch.set_num_threads, (1,))
    try:
        with pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _joined(parts: Sequence[Timeline]) -> Timeline:
    fields = ("starts", "ends", "emotion", "gender", "age")
    return Timeline(*(np.concatenate([getattr(part, f) for part in parts]) for f in fields))


def _folder(model: str | os.PathLike[str] | None, revision: str | None) -> Path:
    if model is None:
        return paths.data() / "models" / "default"
    if Path(model).is_dir():
        return Path(model)
    name = os.fspath(model)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        raise ModelError(
            f"There is no model {name!r}: give a folder with {_CARD} and {_WEIGHTS}, or the name "
            "of a model on the Hugging Face hub (owner/model)."
        )
    return _from_hub(name, revision)


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import httpx

    from persona.representations import _hub

    def download(file: str, at: str | None) -> Path:
        return Path(hf_hub_download(name, file, revision=at, local_files_only=kept_only))

    try:
        try:
            # The download itself retries an unreachable host for half a minute; this asks once.
            get_hf_file_metadata(hf_hub_url(name, _CARD, revision=revision))
            kept_only = False
        except httpx.TransportError:
            kept_only = True  # what was downloaded before will do
        card = download(_CARD, revision)
        # Of the same commit, whatever happens to a branch meanwhile.
        download(_WEIGHTS, card.parent.name)
    except (OSError, httpx.HTTPError, HFValidationError) as error:
        raise ModelError(
            f"There is no folder {name}, and no model of that name could be had from the hub "
            f"({_hub.reason(error, name, revision or 'main')}): check the name and the network."
        ) from error
    return card.parent


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
        known = card["format"]
    except FileNotFoundError as error:
        raise ModelError(
            f"There is no model in {folder}, {_CARD} is missing: make one with `persona train`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder / _CARD} is not the card of a model: get it again, or make a model with "
            "`persona train`."
        ) from error
    if known != _FORMAT:
        raise ModelError(
            f"The model in {folder} has format {known}, this version reads format {_FORMAT}: "
            "make it again with `persona train`."
        )
    return card


def _read_network(folder: Path, card: dict[str, Any]) -> "Network":
    from safetensors.torch import load

    from persona.model import Network

    try:
        weights = (folder / _WEIGHTS).read_bytes()
    except OSError as error:
        raise ModelError(
            f"{folder / _WEIGHTS} cannot be read ({error.strerror}): get the model again."
        ) from error
    if hashlib.sha256(weights).hexdigest() != card["weights_sha256"]:
        raise ModelError(
            f"{folder / _WEIGHTS} is damaged, or not what its card describes: get the model again."
        )
    network = Network(**card["network"])
    try:
        network.load_state_dict(load(weights))
    except RuntimeError as error:
        raise ModelError(
            f"{folder / _WEIGHTS} does not fit the network its card describes: get the model again."
        ) from error
    return network.eval()


def _restore(card: dict[str, Any]) -> list[Representation]:
    return [representations.restore(provenance) for provenance in card["representations"]]
