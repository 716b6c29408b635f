"""The page that listens, as a folder for any static host: the same graphs, run by the browser.

`static/listen` holds the page's own modules, which do what stands between the graphs; every
constant they use is written here from the module that owns it. `static` holds what the widget has
too.
"""

import gzip
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from persona.app import offered
from persona.audio import downmix, quality, reader, resampling, speech, windows
from persona.errors import ModelError, StoreError
from persona.keeping import store
from persona.labels import GENDERS
from persona.model import answers, enrolment, heads, live, prediction, predictor, summary
from persona.model import card as cards
from persona.people import channels, diarisation, different, voice
from persona.representations import campplus

MAX_BYTES = 50_000_000
"""Largest file that the page takes: a browser decodes all of it at once."""

_STATIC = Path(__file__).resolve().parent / "static"
_SHARED = (
    "app.css", "app.js", "clearing.js", "csv.js", "intake.js", "microphone.js", "offers.js",
    "speaking.js", "usual.js", "view.js", "worth.js",
)  # fmt: skip
_RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_HALVED = 100_000  # numbers of a weight from which on it is stored in half precision


def write(folder: Path, runtime: Path, model: str | None = None) -> int:
    """Write the page into `folder`; gives the bytes that its visitor loads once.

    Parameters
    ----------
    folder : made where it is not there; its `index.html` is the page on its own, its `page.js`
        fills an element with the id `persona-listen` of any other page beside it.
    runtime : `dist` of npm's onnxruntime-web.
    model : as for `Predictor.load`.

    Raises
    ------
    StoreError : onnxruntime-web is not in `runtime`, or `folder` cannot be written to.
    ModelError : the model is damaged, listens through another network than CAM++, or answers
        fewer than three tasks.
    """
    module, wasm = (runtime / name for name in _RUNTIME)
    if not (module.is_file() and wasm.is_file()):
        raise StoreError(
            f"onnxruntime-web is not in {runtime}, so there is no page that listens: `npm ci` in "
            "web/ brings it, where npm's registry can be reached."
        )
    answering = predictor.Predictor.load(model)
    loaded = answering.model
    layers, classes = _layers(loaded.card), cards.tasks(loaded.card)
    if set(classes) != set(cards.ALL):
        raise ModelError("The page shows emotion, gender and age: give a model of all three.")
    numbers = constants()
    shipped = store.shipped()
    contents = {
        "silero": shipped.joinpath(*speech.FILE).read_bytes(),
        "campplus": _cut(
            (shipped / "models/campplus/campplus.onnx").read_bytes(), [*layers, "frames"]
        ),
        "projection": campplus.projection().tobytes(),
        "heads": _halved(_cut(loaded.heads, [*cards.ALL, heads.USUAL])),
        "runtime": wasm.read_bytes(),
    }
    shutil.copytree(_STATIC / "listen", folder, dirs_exist_ok=True)
    for name in _SHARED:
        shutil.copy(_STATIC / name, folder)
    shutil.copy(module, folder / "ort.mjs")
    besides = offered.offered(answering.fingerprint)
    for clip in besides["clips"]:
        store.write_bytes(folder / "clips" / clip["name"], offered.clip(clip["name"]))
    files = {name: _packed(folder, name, content) for name, content in contents.items()}
    bundle = {
        "files": files,
        "layers": layers,
        "offered": besides,
        "emotions": classes["emotion"],
        "genders": GENDERS,
        "card": loaded.card,
        "fingerprint": answering.fingerprint,
        "columns": {by: answers.columns(classes["emotion"], by) for by in answers.BY},
        "parts": sorted({*_parts(folder), "bundle.json"}),
        "constants": numbers,
    }
    store.write_json(folder / "bundle.json", bundle)
    return sum(file["bytes"] for file in files.values())


def _parts(folder: Path) -> Iterator[str]:
    """What the page is made of besides its graphs; a service worker keeps it."""
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix not in (".gz", ".html"):
            yield file.relative_to(folder).as_posix()


def constants() -> dict[str, dict[str, Any]]:
    """Numbers and words that the page's modules share with Python's, by module and name."""
    return {
        "audio": {
            **_of(reader, "EXTENSIONS", "LOUDEST", "RATE", "SHORT", "SHORTEST"),
            "MAX_BYTES": MAX_BYTES,
            **_of(resampling, "FROM_ABOVE", "FROM_BELOW"),
            "POINTS": prediction.POINTS,
            "SILENCE": downmix.SILENCE,
        },
        "speech": {
            **_of(speech, "CALL", "CONTEXT", "GAP", "LEAD", "LITTLE", "LOUD", "OFF", "PAD"),
            **_of(
                speech, "QUIET", "RANGE", "REACH", "RUMBLE", "SHORTEST", "STEADY", "STRETCH", "SURE"
            ),
            **_of(windows, "PHRASE", "LONGEST", "NEAR", "CALM", "EDGE"),
            **_of(
                quality, "ABRUPT", "CLIPPED", "FRAME", "LOST", "NARROW", "NOISY", "SILENT", "STEP"
            ),
        },
        "campplus": _of(campplus, "FRAMES", "LEVEL"),
        "channels": _of(channels, "LISTENED", "LITTLE", "LOUD", "SWING", "TOGETHER"),
        "diarisation": {
            **_of(diarisation, "ALIKE", "ALONE", "FEWEST", "LEAST", "PART", "STRETCH", "SURE"),
        },
        "different": _of(different, "ALIKE", "MANY"),
        "enrolment": _of(enrolment, "ENOUGH", "PLAIN"),
        "live": _of(live, "KEPT", "LULL"),
        "prediction": _of(prediction, "SCHEMA"),
        "summary": _of(summary, "HEARD", "PAUSE", "SHARE", "SURELY"),
        "voice": _of(voice, "DAMPING", "SHRINK", "SHRINK_PLAIN", "STEPS"),
    }


def _of(module: ModuleType, *names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names}


def _layers(card: dict[str, Any]) -> list[str]:
    """Outputs of CAM++'s graph, whose concatenation the heads take."""
    if {made["representation"] for made in card["representations"]} != {"campplus"}:
        raise ModelError("The page listens through CAM++ only: give a model trained on it.")
    return [layer for made in card["representations"] for layer in made["layer"].split("+")]


def _cut(graph: bytes, outputs: Iterable[str]) -> bytes:
    """The part of a graph that these outputs need, as far as it has them."""
    import onnx
    from onnx.utils import Extractor

    whole = onnx.load_from_string(graph)
    inputs, there = ([v.name for v in part] for part in (whole.graph.input, whole.graph.output))
    wanted = [name for name in outputs if name in there]
    return Extractor(whole).extract_model(inputs, wanted).SerializeToString()


def _halved(graph: bytes) -> bytes:
    """The graph with its large weights stored in half precision and cast where they are used."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.size >= _HALVED and tensor.data_type == TensorProto.FLOAT:
            name, stored = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), stored))
            model.graph.node.insert(
                0, helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT)
            )
    return model.SerializeToString()


def _packed(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    packed = gzip.compress(content, 9, mtime=0)
    store.write_bytes(folder / f"{name}.gz", packed)
    sha256 = hashlib.sha256(packed).hexdigest()
    return {"name": f"{name}.gz", "bytes": len(packed), "sha256": sha256}
