"""The heads as an ONNX graph: embeddings in, the three answers and the distance of the voice out.

The graph holds all that stands between an embedding and an answer: standardisation, every network
of the ensemble, their average, and the temperatures. It runs without torch. A graph may come from
anybody, so it is read before it runs: no file, no foreign operator and no loop gets past `Heads`.
"""

import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from persona.errors import AudioError, ModelError
from persona.labels import EMOTIONS, GENDERS

if TYPE_CHECKING:
    from persona.model.voices import Voices
    from persona.network import AgeHead, Ensemble

OPSET = 17
INPUT = "embeddings"
OUTPUTS = {"emotion": [len(EMOTIONS)], "gender": [len(GENDERS)], "age": [], "distance": []}
"""Names of what the graph puts out for B embeddings, and its shape after (B,), of six emotions."""

USUAL = "usual"
"""A further output, of a graph that answers emotion: see `voices.usual`. It needs no embedding."""

_OPERATORS = frozenset(
    [
        "Add", "Clip", "Concat", "Constant", "Conv", "Div", "Flatten", "Gather", "Gemm",
        "Identity", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "ReduceMean", "ReduceMin",
        "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Sqrt", "Squeeze",
        "Sub", "Unsqueeze",
    ]
)  # fmt: skip

# Fields of ONNX's protocol buffers, by their message and number.
_MODEL = frozenset([1, 2, 3, 4, 5, 6, 7, 8, 14])  # without functions and training
_INSIDE = {
    ("model", 7): "graph",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
}
_OPERATOR, _DOMAIN = ("node", 4), ("node", 7)
_REFUSED = {("graph", 15): "it holds sparse tensors"}
_REFUSED |= {("tensor", n): "it reads weights from a file" for n in (13, 14)}
# Graphs, sparse tensors, and lists of graphs and of tensors.
_REFUSED |= {("attribute", n): "it holds a graph within a graph" for n in (6, 10, 11, 22, 23)}


class Answers(NamedTuple):
    """What the heads answer to B embeddings.

    emotion, gender : probabilities, shapes (B, C) and (B, 2).
    age : years, shape (B,).
    distance : from the nearest training speaker, shape (B,), see `voices.Voices`.
    """

    emotion: np.ndarray
    gender: np.ndarray
    age: np.ndarray
    distance: np.ndarray


class Heads:
    """Runs a graph that `write_heads` wrote, on one thread; several may call it at once.

    emotions : number of classes that it tells apart.

    Raises `ModelError` for a graph that is damaged, reads files, holds other operators than
    those of our networks, or has other inputs and outputs.
    """

    dimension: int
    """Length of an embedding."""

    def __init__(self, graph: bytes, emotions: int = len(EMOTIONS)) -> None:
        import onnxruntime
        from google.protobuf.message import DecodeError

        try:
            _check_message(graph)
        except (DecodeError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise _unusable("it is not an ONNX graph, or is damaged") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class
            raise _unusable("ONNX Runtime cannot load it") from error
        self._shapes = OUTPUTS | {"emotion": [emotions]}
        (self.dimension,) = self._check_shapes()

    def _check_shapes(self) -> list[int]:
        inputs, outputs = self._session.get_inputs(), [*self._session.get_outputs()]
        last = outputs.pop() if outputs and outputs[-1].name == USUAL else None
        if [i.name for i in inputs] != [INPUT] or [o.name for o in outputs] != list(OUTPUTS):
            raise _unusable(
                f"its input has to be {INPUT} and its outputs have to be {', '.join(OUTPUTS)}"
            )
        if last and last.shape != [1 + self._shapes["emotion"][0], *inputs[0].shape[1:]]:
            raise _unusable(f"{USUAL} has the shape {last.shape}")
        for value in (*inputs, *outputs):
            batch, *shape = value.shape or [0]
            fits = shape == self._shapes[value.name] if value in outputs else len(shape) == 1
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
        shapes = [(len(embeddings), *shape) for shape in self._shapes.values()]
        if [part.shape for part in answers] != shapes:
            raise _unusable("it does not answer each embedding")
        if not all(np.isfinite(part).all() for part in answers):
            raise AudioError(
                "The audio lies so far beyond full scale that no answer is a number: scale it to "
                "+-1."
            )
        return answers

    def usual(self) -> np.ndarray | None:
        """As of `voices.usual`, shape (1 + C, dimension); None of a graph that does not say."""
        if len(self._session.get_outputs()) == len(OUTPUTS):
            return None
        nothing = np.zeros((1, self.dimension), np.float32)
        [found] = self._session.run([USUAL], {INPUT: nothing})
        if found.dtype != np.float32 or not np.isfinite(found).all():
            raise _unusable(f"{USUAL} holds what is no number")
        return found


def write_heads(
    ensemble: "Ensemble",
    voices: "Voices",
    temperatures: tuple[float, float] = (1.0, 1.0),
    usual: np.ndarray | None = None,
) -> bytes:
    """The graph of an ensemble's answers.

    voices : against which the distance is taken.
    temperatures : of emotion and of gender, applied to the averaged probabilities as
        `calibration.tempered` does.
    usual : as of `voices.usual`, of a model that answers emotion.
    """
    import torch

    names = [INPUT, *OUTPUTS]
    graph = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is called the old one
        torch.onnx.export(
            _module(ensemble, voices, temperatures, usual),
            (torch.zeros(2, len(voices.mean)),),
            graph,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[*OUTPUTS] if usual is None else [*OUTPUTS, USUAL],
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return graph.getvalue()


def _module(
    ensemble: "Ensemble",
    voices: "Voices",
    temperatures: tuple[float, float],
    usual: np.ndarray | None,
) -> Any:
    import torch
    from torch import Tensor, nn

    mean, projection, speakers = (torch.from_numpy(np.float32(part)) for part in voices)
    known = None if usual is None else torch.from_numpy(np.float32(usual))

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
            answers = emotion, gender, age, squared.amin(-1).sqrt()
            # The exporter only writes what depends on the input.
            return answers if known is None else (*answers, known + 0 * x[:1, :1])

    return Module().eval()


def _unusable(why: str) -> ModelError:
    return ModelError(
        f"The graph of the model's heads cannot be used ({why}): get the model again, or make one "
        "with `persona train`."
    )


def _check_message(message: bytes, kind: str = "model") -> None:
    """Refuse what could read a file, run other code, or run without end."""
    for number, value in _fields(message):
        if kind == "model" and number not in _MODEL:
            raise _unusable("it holds more than one graph")
        if why := _REFUSED.get((kind, number)):
            raise _unusable(why)
        if (kind, number) == _OPERATOR and value.decode() not in _OPERATORS:
            raise _unusable(f"it uses the operator {value.decode()!r}")
        if (kind, number) == _DOMAIN and value not in (b"", b"ai.onnx"):
            raise _unusable(f"it uses operators of {value.decode()!r}")
        if inside := _INSIDE.get((kind, number)):
            _check_message(value, inside)


def _fields(message: bytes) -> list[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer, whatever its schema."""
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.unknown_fields import UnknownFieldSet

    return [
        (field.field_number, field.data) for field in UnknownFieldSet(Empty.FromString(message))
    ]
