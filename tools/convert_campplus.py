"""Convert the published weights of CAM++ into the ONNX graph that PERSONA ships.

    python tools/convert_campplus.py WEIGHTS.pt OUT.onnx --corpus FOLDER --reference FILE.npz \\
        --audio FOLDER

The network is written here from its paper (Wang et al. 2023, "CAM++: A Fast and Efficient Network
for Speaker Verification Using Context-Aware Masking", arXiv 2303.00332) and from the shapes of the
published tensors; `data/models/campplus/NOTICE` says whose work the weights are. It is checked
against reference answers, measured over a corpus (which gives the constants of the codes), and
written with its filterbank as one graph: waveform in, embedding and pooled layers out. For people
it also gives `frames`, below the statistics, and `projection`, which maps statistics to embeddings.

    python tools/convert_campplus.py --extend GRAPH.onnx

adds these two to a graph that was made before, and leaves every other node and weight as it is.
"""

import argparse
import csv
import hashlib
import io
import json
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import soundfile
import torch
from joblib import Parallel, delayed
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from persona.errors import WeightsError
from persona.keeping import store

SHA256 = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
WEIGHTS = "iic/speech_campplus_sv_zh_en_16k-common_advanced"
RATE = 16_000
OUTPUTS = ("embedding", "statistics", "block2", "block3", "block2_ends", "block3_ends")
STEPS = {name: 12 if name == "statistics" else 4 for name in OUTPUTS[1:]}  # codes per deviation
LIMIT = 127  # codes fit in int8
SMALLEST = 1e-3  # deviation: what varies less is of the size of rounding errors


# The filterbank -------------------------------------------------------------------------------

FRAME, SHIFT, POINTS, BANDS = 400, 160, 512, 80  # samples, samples, points of the FFT, mel bands


def spectrum_matrix() -> np.ndarray:
    """Frame of 400 samples to its spectrum, shape (2 x 255, 400): real parts, imaginary parts.

    Removal of the frame's mean, pre-emphasis, Povey window and the 512-point Fourier transform are
    linear, so one matrix does them all. Its first and last bin meet no mel band and are left out.
    """
    centred = np.eye(FRAME) - 1 / FRAME
    emphasised = centred - 0.97 * centred[[0, *range(FRAME - 1)]]
    window = np.hanning(FRAME) ** 0.85
    bins = np.arange(1, POINTS // 2)
    turns = np.exp(-2j * np.pi * np.outer(bins, np.arange(FRAME)) / POINTS)
    spectrum = turns @ (window[:, None] * emphasised)
    return np.concatenate([spectrum.real, spectrum.imag]).astype(np.float32)


def mel_matrix() -> np.ndarray:
    """Kaldi's triangular mel bands from 20 Hz to 8 kHz, shape (80, 255)."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(mel(20), mel(RATE / 2), BANDS + 2)[:, None]
    bins = mel(np.arange(1, POINTS // 2) * RATE / POINTS)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def length(x: Tensor) -> Tensor:
    """Size of the last axis, as a tensor: in the exported graph it follows the input."""
    return torch._shape_as_tensor(x)[-1]


class Filterbank(nn.Module):
    """Log mel energies as Kaldi computes them, minus their mean over the clip."""

    spectrum: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        spectrum = torch.from_numpy(spectrum_matrix())[:, None]
        self.register_buffer("spectrum", spectrum, persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_matrix())[:, :, None], persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        # (n,) -> (1, 80, frames). A clip shorter than a frame is one frame, filled with zeros:
        # frames that start inside the clip are computed, those that end inside it are kept.
        padded = torch.cat([waveform, torch.zeros(FRAME)])
        spectrum = F.conv1d(padded[None, None], self.spectrum, stride=SHIFT)
        real, imaginary = spectrum.chunk(2, dim=1)
        energies = F.conv1d(real * real + imaginary * imaginary, self.mel)
        whole = ((length(waveform) - (FRAME - SHIFT)) // SHIFT).clamp(min=1)
        logs = energies[:, :, :whole].clamp(min=torch.finfo(torch.float32).eps).log()
        return logs - logs.mean(dim=-1, keepdim=True)


# The network ----------------------------------------------------------------------------------


class Norm(nn.Module):
    """Batch norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batchnorm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batchnorm(x))


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a way past them; `stride` is that of frequency."""

    def __init__(self, stride: int, channels: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            past = nn.Conv2d(channels, channels, 1, (stride, 1), bias=False)
            self.shortcut = nn.Sequential(past, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class Head(nn.Module):
    """Front-end convolutions over frequency and time: (1, 80, t) -> (1, 320, t)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(Residual(2), Residual(1))
        self.layer2 = nn.Sequential(Residual(2), Residual(1))
        self.conv2 = nn.Conv2d(32, 32, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x[:, None])))
        x = F.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


SEGMENT = 100  # frames


def segment_means(x: Tensor) -> Tensor:
    """Means over segments of 100 frames, the last one perhaps shorter: (1, c, ceil(t / 100))."""
    return F.avg_pool1d(x, SEGMENT, ceil_mode=True, count_include_pad=False)


class ContextAwareMasking(nn.Module):
    """A convolution whose outputs are masked by what the clip and the segment are like."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(128, 32, 3, 1, dilation, dilation, bias=False)
        self.linear1 = nn.Conv1d(128, 64, 1)
        self.linear2 = nn.Conv1d(64, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        context = x.mean(dim=-1, keepdim=True) + segment_means(x)
        mask = self.linear2(F.relu(self.linear1(context))).sigmoid()  # one for each segment
        mask = mask[..., None].expand(-1, -1, -1, SEGMENT).flatten(2)[..., : x.shape[-1]]
        return self.linear_local(x) * mask


class DenseLayer(nn.Module):
    """A densely connected layer: adds 32 channels to those that it is given."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = Norm(channels)
        self.linear1 = nn.Conv1d(channels, 128, 1, bias=False)
        self.nonlinear2 = Norm(128)
        self.cam_layer = ContextAwareMasking(dilation)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.nonlinear2(self.linear1(self.nonlinear1(x)))
        return torch.cat([x, self.cam_layer(hidden)], dim=1)


def dense_block(channels: int, layers: int, dilation: int) -> nn.Sequential:
    made = [DenseLayer(channels + 32 * i, dilation) for i in range(layers)]
    return nn.Sequential(OrderedDict((f"tdnnd{i + 1}", layer) for i, layer in enumerate(made)))


class Transition(nn.Module):
    """Halves the channels between two dense blocks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = Norm(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.nonlinear(x))


class Convolution(nn.Module):
    """The first time-delay layer; halves the frame rate to 50 per second."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv1d(320, 128, 5, 2, 2, bias=False)
        self.nonlinear = Norm(128)

    def forward(self, x: Tensor) -> Tensor:
        return self.nonlinear(self.linear(x))


class Dense(nn.Module):
    """The embedding: a linear map of the statistics and a batch norm; no ReLU behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv1d(1024, 192, 1, bias=False)
        self.nonlinear = nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(192, affine=False)))

    def forward(self, statistics: Tensor) -> Tensor:
        return self.nonlinear(self.linear(statistics[..., None]))[..., 0]


def pooled(x: Tensor) -> Tensor:
    """Mean and unbiased deviation over time, the deviation of one frame being 0: (1, 2 c)."""
    mean = x.mean(dim=-1, keepdim=True)
    others = (length(x) - 1).clamp(min=1)
    deviation = ((x - mean).square().sum(dim=-1) / others).sqrt()
    return torch.cat([mean[..., 0], deviation], dim=1)


def ends(x: Tensor) -> Tensor:
    """Means over the first and over the last third of the frames, minus that over all: (1, 2 c).

    A third is rounded up, so that a single frame is its own beginning and end.
    """
    frames = length(x)
    third = (frames + 2) // 3
    place = torch.arange(frames)  # type: ignore[call-overload]
    first, last = place < third, place >= frames - third
    means = x @ torch.stack([first, last], dim=1).to(x) / third
    return (means - x.mean(dim=-1, keepdim=True)).transpose(1, 2).flatten(1)


class Trunk(nn.Module):
    """Time-delay layer, three densely connected blocks, statistics and embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.tdnn = Convolution()
        self.block1, self.transit1 = dense_block(128, 12, dilation=1), Transition(512)
        self.block2, self.transit2 = dense_block(256, 24, dilation=2), Transition(1024)
        self.block3, self.transit3 = dense_block(512, 16, dilation=2), Transition(1024)
        self.out_nonlinear = Norm(512)
        self.dense = Dense()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        block2 = self.block2(self.transit1(self.block1(self.tdnn(x))))
        block3 = self.block3(self.transit2(block2))
        statistics = pooled(self.out_nonlinear(self.transit3(block3)))
        pools = pooled(block2), pooled(block3), ends(block2), ends(block3)
        return self.dense(statistics), statistics, *pools


class CAMPPlus(nn.Module):
    """Waveform of shape (n,) at 16 kHz to `OUTPUTS`, each of shape (1, its dimension)."""

    def __init__(self) -> None:
        super().__init__()
        self.filterbank, self.head, self.xvector = Filterbank(), Head(), Trunk()

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        return self.xvector(self.head(self.filterbank(waveform)))


class Coded(nn.Module):
    """The network with its pooled layers as codes: rounded steps from the centre, -127 to 127.

    centre, deviation : of each dimension over a corpus, by the name of the layer.
    """

    def __init__(
        self, network: CAMPPlus, scaling: dict[str, tuple[np.ndarray, np.ndarray]]
    ) -> None:
        super().__init__()
        self.network = network
        for layer, (centre, deviation) in scaling.items():
            self.register_buffer(f"{layer}_centre", torch.from_numpy(centre))
            self.register_buffer(f"{layer}_step", torch.from_numpy(deviation / STEPS[layer]))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        embedding, *layers = self.network(waveform)
        return embedding, *(self.codes(x, name) for x, name in zip(layers, STEPS, strict=True))

    def codes(self, x: Tensor, layer: str) -> Tensor:
        steps = (x - getattr(self, f"{layer}_centre")) / getattr(self, f"{layer}_step")
        return steps.round().clamp(-LIMIT, LIMIT)


# From the published weights to the graph --------------------------------------------------------


def read_network(weights: Path) -> CAMPPlus:
    """The network with its published weights.

    Raises `WeightsError` where the file is another one.
    """
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != SHA256:
        raise WeightsError(f"{weights} has SHA-256 {found}, but {WEIGHTS} has {SHA256}: get that.")
    network = CAMPPlus().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network


def export(network: nn.Module, half: bool = True) -> onnx.ModelProto:
    """The graph from a waveform of any length; `half` stores weights in half precision."""
    written = io.BytesIO()
    torch.onnx.export(
        network, (torch.zeros(RATE),), written,  # type: ignore[arg-type]
        dynamo=False, opset_version=17,
        input_names=["waveform"], output_names=list(OUTPUTS),
        dynamic_axes={"waveform": {0: "samples"}},
    )  # fmt: skip
    graph = onnx.load_from_string(written.getvalue())
    if half:
        store_in_half(graph.graph)
    onnx.checker.check_model(graph)
    return graph


def store_in_half(graph: onnx.GraphProto) -> None:
    """Large weights of convolutions in half precision, cast back where they are used.

    Small ones and vectors (biases, batch norms, constants of the codes) stay as they are, and so
    does the filterbank, which is no initialiser.
    """
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 1 or values.size < 2048:
            continue
        name, stored = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        graph.node.insert(0, helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))


LAST_RELU, DENSE = "/xvector/out_nonlinear/Relu", "/xvector/dense/linear/Conv"


def extended(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with two outputs more, of what it computes or holds anyway.

    frames : (1, 512, t), 50 per second: what the statistics are taken of.
    projection : (192, 1025). Mean and unbiased deviation over some of the frames, joined to (1024,)
        and followed by a 1, make the embedding of those frames: `projection @ statistics`.
    """
    graph = model.graph
    last = next(node for node in graph.node if node.name.endswith(LAST_RELU))
    dense = next(node for node in graph.node if node.name.endswith(DENSE))
    before = last.output[0]
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = ["frames" if name == before else name for name in names]
    _, weight, bias = dense.input
    graph.initializer.append(numpy_helper.from_array(np.array([1]), "projection_axis"))
    graph.node.extend([
        helper.make_node("Flatten", [weight], ["flat_weight"], axis=1),
        helper.make_node("Unsqueeze", [bias, "projection_axis"], ["flat_bias"]),
        helper.make_node("Concat", ["flat_weight", "flat_bias"], ["projection"], axis=1),
    ])  # fmt: skip
    graph.output.extend([
        helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 512, "frames"]),
        helper.make_tensor_value_info("projection", TensorProto.FLOAT, [192, 1025]),
    ])  # fmt: skip
    onnx.checker.check_model(model)
    return model


def extend(path: Path) -> None:
    """Extend the graph at `path` in place, and tell its provenance and the feature tables."""
    graph = extended(onnx.load(path)).SerializeToString()
    beside = path.with_name("provenance.json")
    made_by, sha256 = store.read_json(beside), hashlib.sha256(graph).hexdigest()
    store.write_bytes(path, graph)
    store.write_json(beside, made_by | {"graph_sha256": sha256})
    for file in rekey_tables(path.parents[2] / "features", made_by["graph_sha256"], sha256):
        print(f"{file} names the new graph.")


def rekey_tables(folder: Path, old: str, new: str) -> list[Path]:
    """Feature tables below `folder` that name the graph `old` by SHA-256 now name `new`; which.

    For a graph whose other outputs are bit-equal. Values stay, which their checksum proves.
    """
    changed = []
    for file in sorted(folder.rglob("*.parquet")):
        table = store.read_table(file)
        made_by = json.loads(json.dumps(table.provenance).replace(old, new))
        if made_by != table.provenance:
            store.write_table(file, table.columns, made_by)
            if store.checksum(store.read_table(file).columns) != store.checksum(table.columns):
                raise SystemExit(f"{file} changed its values: restore it from the repository.")
            changed.append(file)
    return changed


def session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def answers(graph: bytes, files: list[Path]) -> dict[str, np.ndarray]:
    """Outputs of a graph for audio files (mono, 16 kHz): name to array (len(files), dimension)."""
    running = session(graph)
    waveforms = (soundfile.read(file, dtype="float32")[0] for file in files)
    found = [running.run(list(OUTPUTS), {"waveform": waveform}) for waveform in waveforms]
    columns = zip(*found, strict=True)
    return {name: np.concatenate(c) for name, c in zip(OUTPUTS, columns, strict=True)}


def differences(graph: bytes, reference: Path, audio: Path) -> dict[str, float]:
    """Largest difference of each raw output to its reference answers, of those that have any."""
    with np.load(reference) as expected:
        found = answers(graph, [audio / f"{clip}.flac" for clip in expected["clip"]])
        known = [name for name in OUTPUTS if name in expected]
        return {name: float(np.abs(found[name] - expected[name]).max()) for name in known}


def corpus_answers(graph: bytes, corpus: Path, workers: int) -> dict[str, np.ndarray]:
    """Raw outputs for every WAV file of a folder in the order of their names, silence left out."""
    files = [f for f in sorted(corpus.glob("*.wav")) if np.any(soundfile.read(f)[0])]
    parts = [files[i : i + 64] for i in range(0, len(files), 64)]
    found = Parallel(n_jobs=workers)(delayed(answers)(graph, part) for part in parts)
    return {name: np.concatenate([part[name] for part in found]) for name in OUTPUTS}


def codes_of(values: np.ndarray, layer: str) -> np.ndarray:
    """What `Coded` makes of raw outputs of shape (clips, dimension)."""
    centre, deviation = scaling_of({layer: values})[layer]
    return np.rint((values - centre) / (deviation / STEPS[layer])).clip(-LIMIT, LIMIT)


def probe(values: np.ndarray, clips: list[dict[str, str]], deals: int = 3) -> dict[str, float]:
    """What ridge regression (penalty 1) finds in vectors of shape (clips, dimension).

    Five folds of speakers, averaged over `deals` of them. Emotion and gender: accuracy in percent;
    age: root mean squared error in years.
    """
    emotion, gender, speaker = (
        np.array([clip[name] for clip in clips]) for name in ("emotion", "gender", "speaker")
    )
    emotions, age = np.unique(emotion), np.array([float(clip["age"]) for clip in clips])
    targets = np.stack([*(emotion == e for e in emotions), gender == "male", age], 1).astype(float)
    centred = values.astype(float) - values.mean(axis=0)
    scaled = centred / values.std(axis=0).clip(1e-6) / np.sqrt(values.shape[1])
    predicted = np.stack([ridge(scaled, targets, speaker, deal) for deal in range(deals)])
    hits = emotions[predicted[:, :, : len(emotions)].argmax(axis=2)] == emotion
    male = predicted[:, :, -2] > 0.5
    return {
        "emotion": round(100 * float(hits.mean()), 2),
        "gender": round(100 * float((male == (gender == "male")).mean()), 2),
        "age": round(float(np.sqrt(((predicted[:, :, -1] - age) ** 2).mean(axis=1)).mean()), 3),
    }


def ridge(x: np.ndarray, y: np.ndarray, speaker: np.ndarray, deal: int) -> np.ndarray:
    """Out-of-fold predictions, five folds of speakers dealt at random."""
    names, found = np.unique(speaker), np.empty_like(y)
    fold = np.random.default_rng(deal).permutation(len(names)) % 5
    fold = fold[np.searchsorted(names, speaker)]
    grams = [x[fold == k].T @ x[fold == k] for k in range(5)]
    whole = np.sum(grams, axis=0) + np.eye(x.shape[1])
    for k in range(5):
        train, test, mean = fold != k, fold == k, y[fold != k].mean(axis=0)
        weights = np.linalg.solve(whole - grams[k], x[train].T @ (y[train] - mean))
        found[test] = x[test] @ weights + mean
    return found


def rounding_cost(found: dict[str, np.ndarray]) -> dict[str, dict[str, dict[str, float]]]:
    """`probe` of every coded layer of CREMA-D, before and after rounding."""
    with open(store.shipped() / "crema-d" / "clips.csv", encoding="utf-8", newline="") as file:
        clips = [row for row in csv.DictReader(file) if row["silent"] != "True"]
    return {
        layer: {
            "raw": probe(found[layer], clips),
            "codes": probe(codes_of(found[layer], layer), clips),
        }
        for layer in STEPS
    }


def scaling_of(found: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Centre and deviation of each dimension of the layers that become codes."""
    return {
        name: (found[name].mean(axis=0, dtype=float).astype(np.float32),
               found[name].std(axis=0, dtype=float).clip(SMALLEST).astype(np.float32))
        for name in found if name in STEPS
    }  # fmt: skip


# Command line -----------------------------------------------------------------------------------


def audio_fingerprint(corpus: Path) -> str:
    """SHA-256 over names and contents of a folder's WAV files."""
    digest = hashlib.sha256()
    for file in sorted(corpus.glob("*.wav")):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.name} {content}\n".encode())
    return digest.hexdigest()


def kept(outputs: Path | None, graph: bytes, corpus: Path, workers: int) -> dict[str, np.ndarray]:
    """`corpus_answers`, read from the file `outputs` where an earlier run left them."""
    if outputs and outputs.exists():
        with np.load(outputs) as found:
            return {name: found[name] for name in OUTPUTS}
    found = corpus_answers(graph, corpus, workers)
    if outputs:
        np.savez(outputs, **found)  # type: ignore[arg-type]
    return found


def convert(arguments: argparse.Namespace) -> dict:
    """Write the graph; its provenance."""
    network = read_network(arguments.weights)
    checked = {}
    for precision, tolerance in (("float32", 1e-3), ("float16", 3e-2)):
        raw = export(network, half=precision == "float16").SerializeToString()
        checked[precision] = differences(raw, arguments.reference, arguments.audio)
        print(f"Largest difference to the reference, {precision}: {checked[precision]}")
        if max(checked[precision].values()) > tolerance:
            raise SystemExit(f"The graph in {precision} differs by more than {tolerance}.")
    found = kept(arguments.outputs, raw, arguments.corpus, arguments.workers)
    cost = rounding_cost(found)
    graph = extended(export(Coded(network, scaling_of(found)))).SerializeToString()
    store.write_bytes(arguments.out, graph)
    return {
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
        "weights": {"name": WEIGHTS, "sha256": SHA256, "licence": "Apache-2.0"},
        "made_by": "tools/convert_campplus.py",
        "software": store.software("numpy", "onnx", "onnxruntime", "torch"),
        "parameters": sum(p.numel() for p in network.parameters()),
        "reference_differences": checked,
        "codes": {
            "steps_per_deviation": STEPS,
            "limit": LIMIT,
            "corpus": "CREMA-D, untrimmed, the silent clip left out",
            "clips": len(found["embedding"]),
            "audio_sha256": audio_fingerprint(arguments.corpus),
            "ridge_probe_unseen_speakers": cost,
        },
    }


def main() -> None:
    if sys.argv[1:2] == ["--extend"]:
        return extend(Path(sys.argv[2]).resolve())
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="the published state dict")
    parser.add_argument("out", type=Path, help="the graph, campplus.onnx")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of CREMA-D's WAV files")
    parser.add_argument("--reference", type=Path, required=True, help="reference.npz")
    parser.add_argument("--audio", type=Path, required=True, help="FLAC files of its clips")
    parser.add_argument("--outputs", type=Path, help="keep raw outputs over the corpus here (.npz)")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    store.write_json(arguments.out.with_name("provenance.json"), convert(arguments))
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
