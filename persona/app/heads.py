"""The heads as an ONNX graph: embeddings in, the three answers and the distance of the voice out.

The graph holds all that stands between an embedding and an answer: standardisation, every network
of the ensemble, their average, and the temperatures. It runs without torch. A graph may come from
anybody, so it is read before it runs: no file, no foreign operator and no loop gets past `Heads`.
"""

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from persona.errors import AudioError, ModelError
from persona.labels import EMOTIONS, GENDERS

if TYPE_CHECKING:
    from persona.app.voices import Voices
    from persona.network import AgeHead, Ensemble

OPSET = 17
INPUT = "embeddings"
OUTPUTS = {"emotion": [len(EMOTIONS)], "gender": [len(GENDERS)], "age": [], "distance": []}
"""Names of what the graph puts out for B embeddings, and its shape after (B,)."""

_OPERATORS = frozenset(
    [
        "Add", "Clip", "Concat", "Constant", "Conv", "Div", "Flatten", "Gather", "Gemm",
        "Identity", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "ReduceMean", "ReduceMin",
        "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Sqrt", "Squeeze",
        "Sub", "Unsqueeze",
    ]
)  # fmt: skip


class Answers(NamedTuple):
    """What the heads answer to B embeddings.

    emotion, gender : probabilities, shapes (B, 6) and (B, 2).
    age : years, shape (B,).
    distance : from the nearest training speaker, shape (B,), see `voices.Voices`.
    """

    emotion: np.ndarray
    gender: np.ndarray
    age: np.ndarray
    distance: np.ndarray


class Heads:
    """Runs a graph that `write_heads` wrote, on one thread; several may call it at once.

    Raises `ModelError` for a graph that is damaged, reads files, holds other operators than
    those of our networks, or has other inputs and outputs.
    """

    dimension: int
    """Length of an embedding."""

    def __init__(self, graph: bytes) -> None:
        import onnxruntime

        _refuse_unsafe(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class
            raise _unusable("ONNX Runtime cannot load it") from error
        (self.dimension,) = self._check_shapes()

    def _check_shapes(self) -> list[int]:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [i.name for i in inputs] != [INPUT] or [o.name for o in outputs] != list(OUTPUTS):
            raise _unusable(
                f"its input has to be {INPUT} and its outputs have to be {', '.join(OUTPUTS)}"
            )
        for value in (*inputs, *outputs):
            batch, *shape = value.shape or [0]
            fits = shape == OUTPUTS[value.name] if value in outputs else len(shape) == 1
            sizes = all(isinstance(size, int) and size > 0 for size in shape)
            if value.type != "tensor(float)" or isinstance(batch, int) or not (fits and sizes):
                raise _unusable(f"{value.name} has the type {value.type} and shape {value.shape}")
        return list(inputs[0].shape[1:])

    def run(self, embeddings: np.ndarray) -> Answers:
        """Answers to float32 embeddings of shape (B, dimension).

        Raises `AudioError` where an answer is not a number, `ModelError` where the graph fails.
        """
        try:
            answers = Answers(*self._session.run(list(OUTPUTS), {INPUT: embeddings}))
        except Exception as error:  # onnxruntime's errors have no common class
            raise _unusable("it fails when it is run") from error
        shapes = [(len(embeddings), *shape) for shape in OUTPUTS.values()]
        if [part.shape for part in answers] != shapes:
            raise _unusable("it does not answer each embedding")
        if not all(np.isfinite(part).all() for part in answers):
            raise AudioError(
                "The audio lies so far beyond full scale that no answer is a number: scale it to "
                "+-1."
            )
        return answers


def write_heads(
    ensemble: "Ensemble", voices: "Voices", temperatures: tuple[float, float] = (1.0, 1.0)
) -> bytes:
    """The graph of an ensemble's answers.

    voices : against which the distance is taken.
    temperatures : of emotion and of gender, applied to the averaged probabilities as
        `calibration.tempered` does.
    """
    import torch

    names = [INPUT, *OUTPUTS]
    graph = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is called the old one
        torch.onnx.export(
            _module(ensemble, voices, temperatures),
            (torch.zeros(2, len(voices.mean)),),
            graph,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return graph.getvalue()


def _module(ensemble: "Ensemble", voices: "Voices", temperatures: tuple[float, float]) -> Any:
    import torch
    from torch import Tensor, nn

    mean, projection, speakers = (torch.from_numpy(np.float32(part)) for part in voices)

    def tempered(probabilities: Tensor, temperature: float) -> Tensor:
        return (probabilities.clamp_min(1e-7).log() / temperature).softmax(-1)

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.networks = ensemble.networks

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            parts: list[tuple[Tensor, ...]] = []
            for network in self.networks:
                output, head = network(x), cast("AgeHead", network.age)
                years = head.years(output.age)
                parts.append((output.emotion.softmax(-1), output.gender.softmax(-1), years))
            emotion, gender, age = (
                torch.stack(part).mean(dim=0) for part in zip(*parts, strict=True)
            )
            emotion, gender = map(tempered, (emotion, gender), temperatures)
            z = (x - mean) @ projection  # (B, k)
            squared = (z[:, None] - speakers).square().sum(-1)  # (B, speakers)
            return emotion, gender, age, squared.amin(-1).sqrt()

    return Module().eval()


def _unusable(why: str) -> ModelError:
    return ModelError(
        f"The graph of the model's heads cannot be used ({why}): get the model again, or make one "
        "with `persona train`."
    )


def _refuse_unsafe(graph: bytes) -> None:
    """Refuse what could read a file, run other code, or run without end.

    The numbers are those of the fields in ONNX's protocol buffers: a model's graph is 7, its
    functions 25 and its training 20; a tensor's external data are 13 and 14.
    """
    try:
        model = list(_fields(graph))
        if {number for number, _ in model} - {1, 2, 3, 4, 5, 6, 7, 8, 14}:
            raise _unusable("it holds more than one graph")
        for number, value in model:
            if number == 7:
                _check_graph(value)
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise _unusable("it is not an ONNX graph, or is damaged") from error


def _check_graph(graph: bytes) -> None:
    for number, value in _fields(graph):
        if number == 1:
            _check_node(value)
        elif number == 5:
            _check_tensor(value)
        elif number == 15:
            raise _unusable("it holds sparse tensors")


def _check_node(node: bytes) -> None:
    for number, value in _fields(node):
        if number == 4 and (operator := value.decode()) not in _OPERATORS:
            raise _unusable(f"it uses the operator {operator!r}")
        if number == 7 and value not in (b"", b"ai.onnx"):
            raise _unusable(f"it uses operators of {value.decode()!r}")
        if number == 5:
            _check_attribute(value)


def _check_attribute(attribute: bytes) -> None:
    for number, value in _fields(attribute):
        if number == 5:
            _check_tensor(value)
        elif number in (6, 10, 11, 22, 23):  # graphs, sparse tensors, and lists of tensors
            raise _unusable("it holds a graph within a graph")


def _check_tensor(tensor: bytes) -> None:
    if any(number in (13, 14) for number, _ in _fields(tensor)):
        raise _unusable("it reads weights from a file")


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer: bytes, or an int where it is one."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if key >= 1 << 32:
            raise ValueError("no field has this number")
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(message):
            raise ValueError("ends early")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
