"""CAM++: a speaker-recognition network of today, run by ONNX Runtime from a file of the project.

Wang et al. (2023), "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", arXiv 2303.00332; weights by 3D-Speaker (Apache-2.0), trained on Mandarin
and English speakers. `tools/convert_campplus.py` made the graph: its filterbank is inside, so
whatever runs it hears alike.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from persona.audio import RATE
from persona.errors import PersonaError, StoreError, WeightsError
from persona.keeping import store

_DIMENSIONS = {
    "embedding": 192,
    "statistics": 1024,
    "block2": 2048,
    "block3": 2048,
    "block2_ends": 2048,
    "block3_ends": 2048,
}


FRAMES = 50
"""Of the network's last layer, per second."""

LEVEL = 0.1
"""Root mean square (-20 dB of full scale) to which every clip is brought."""


class CAMPPlus:
    """The speaker embedding of CAM++, or what layers below it hold, averaged over the clip.

    layer : which outputs, joined by "+", as in "block2+block3". "embedding" (192-d) is the
        network's answer. "statistics" (1,024-d) are means and standard deviations over time of
        the layer below it, "block2" and "block3" (2,048-d) those of the second and third dense
        block. "block2_ends" and "block3_ends" (2,048-d) are their means over the first and over
        the last third of the clip, minus that over all of it: how the voice begins and ends.
        All but the first are codes: whole numbers from -127 to 127, counted from a dimension's
        mean over CREMA-D's clips in steps of a twelfth ("statistics") or a quarter of its
        deviation, which costs a linear probe at most 0.2 points of emotion.
    threads : that one clip may use.

    A clip shorter than one frame (25 ms) is filled with zeros, and one of a single frame has
    deviations of 0; silence gives finite numbers. A minute takes about 0.8 s on one thread and
    300 MB of memory, which grows with the length.

    Raises `PersonaError` for an unknown layer and, when it first embeds, `WeightsError` for a
    graph that is missing or damaged.
    """

    name = "campplus"
    title = "CAM++"
    kind = "speaker recognition"
    rate = RATE
    version = 1
    libraries = ("onnxruntime",)
    thread_safe = True
    needs_download = False
    parameters = 6_848_544

    def __init__(self, layer: str = "embedding", threads: int = 1) -> None:
        self._outputs = layer.split("+")
        if set(self._outputs) - set(_DIMENSIONS):
            raise PersonaError(
                f"CAM++ has no layer {layer!r}; choose from {', '.join(_DIMENSIONS)}, or join "
                'several by "+".'
            )
        self.layer, self.threads = layer, threads
        self.dimension = sum(_DIMENSIONS[output] for output in self._outputs)
        self.dtype = "float32" if "embedding" in self._outputs else "int8"

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Mono float32 waveforms of shape (n,) at 16 kHz to float32 (clips, dimension)."""
        embedded = np.empty((len(waveforms), self.dimension), dtype=np.float32)
        for row, waveform in zip(embedded, waveforms, strict=True):
            row[:] = np.concatenate(self._run(self._outputs, waveform), axis=1)[0]
        return embedded

    def heard(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `embed` of one waveform, shape (dimension,), and the frames behind its "embedding",
        shape (512, t), `FRAMES` per second: what `voices` takes. The network runs once.
        """
        *found, frames = self._run([*self._outputs, "frames"], waveform)
        return np.concatenate(found, axis=1)[0].astype(np.float32), frames[0]

    def voices(self, frames: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """Embeddings, of length 1, of parts of a waveform, float32 of shape (k, 192).

        frames : as of `heard`. edges : seconds, shape (k, 2), first and end of each part.
        """
        count = frames.shape[1]
        ends = np.clip(np.round(edges * FRAMES).astype(int), [0, min(2, count)], count)
        starts = np.minimum(ends[:, 0], np.maximum(ends[:, 1] - 2, 0))
        parts = [frames[:, first:last] for first, last in zip(starts, ends[:, 1], strict=True)]
        statistics = [
            np.concatenate([part.mean(axis=1), part.std(axis=1, ddof=part.shape[1] > 1), [1]])
            for part in parts
        ]
        found = np.array(statistics, np.float32) @ projection().T
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    def _run(self, outputs: list[str], waveform: np.ndarray) -> list[np.ndarray]:
        session = _session(_folder(), self.threads)
        return session.run(outputs, {"waveform": _levelled(waveform)})

    def provenance(self) -> dict[str, Any]:
        made = _made(_folder())
        return {
            "representation": self.name,
            "version": self.version,
            "layer": self.layer,
            "graph_sha256": made["graph_sha256"],
            "weights": made["weights"],
        }


def projection() -> np.ndarray:
    """From mean and deviation of frames, and a 1, to their embedding, float32 (192, 1025)."""
    return _projection(_folder())


def _levelled(waveform: np.ndarray) -> np.ndarray:
    """The waveform at `LEVEL`: the network's log energies have a floor, under which a quiet
    recording would lose its quiet frames. Silence stays silence.
    """
    samples = np.asarray(waveform, np.float32)
    power = float(np.mean(samples**2, dtype=float)) if len(samples) else 0.0
    return samples * np.float32(LEVEL / power**0.5) if power > 0 else samples


def _folder() -> Path:
    return store.shipped() / "models" / "campplus"


def _damaged(folder: Path) -> WeightsError:
    return WeightsError(
        f"The CAM++ network in {folder} is missing or damaged: install PERSONA again, or restore "
        "that folder from its repository."
    )


@cache
def _made(folder: Path) -> dict[str, Any]:
    """What made the graph, and its SHA-256."""
    try:
        return store.read_json(folder / "provenance.json")
    except StoreError as error:
        raise _damaged(folder) from error


@cache
def _projection(folder: Path) -> np.ndarray:
    silence = {"waveform": np.zeros(RATE, np.float32)}
    return _session(folder, 1).run(["projection"], silence)[0]


@cache
def _session(folder: Path, threads: int) -> Any:
    """The graph ready to run, loaded once for all layers."""
    import onnxruntime

    try:
        graph = (folder / "campplus.onnx").read_bytes()
    except OSError as error:
        raise _damaged(folder) from error
    if hashlib.sha256(graph).hexdigest() != _made(folder)["graph_sha256"]:
        raise _damaged(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # would keep a plan of memory for every length of clip
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def joined(made_by: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Layers of CAM++ that follow each other as one representation: the network runs once."""
    found: list[dict[str, Any]] = []
    for made in made_by:
        last = found[-1] if found else {}
        same = {**last, "layer": made.get("layer")} == made
        if same and made.get("representation") == "campplus":
            found[-1] = {**made, "layer": f"{last['layer']}+{made['layer']}"}
        else:
            found.append(made)
    return found
