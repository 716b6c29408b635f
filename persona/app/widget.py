"""The app: choose or record audio, press the button, see emotion, gender and age."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from persona import audio
from persona.app import html
from persona.errors import PersonaError
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import answers
from persona.model.predictor import Predictor

_STATIC = Path(__file__).resolve().parent / "static"

KEPT = 20
"""Results on the page; older ones make room."""


class Intake(anywidget.AnyWidget):
    """Chooses files, takes them by drag and drop, or records; plays them and collects their bytes.

    `batch` holds (name, content) of the audio chosen last, empty while it is on its way; choosing
    again replaces it, and what is still on its way of an earlier choice is dropped. `number` is
    that choice's, rising. `examples` are names of files of `folder` that can be clicked.
    """

    _esm = _STATIC / "intake.js"
    _css = _STATIC / "app.css"
    accept = traitlets.Unicode(",".join(audio.EXTENSIONS)).tag(sync=True)
    limit = traitlets.Float().tag(sync=True)
    examples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    batch: traitlets.List = traitlets.List()

    def __init__(self, folder: Path | None = None, **traits: Any) -> None:
        self._folder = folder or store.shipped() / "examples"
        names = [p.name for p in sorted(self._folder.glob("*")) if p.suffix in audio.EXTENSIONS]
        super().__init__(limit=audio.limit(), examples=names, **traits)
        self.number = 0
        self._arriving: list[tuple[str, bytearray]] = []
        self.on_msg(self._take)

    def _take(self, _: Any, part: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        if "example" in part:
            self._send_example(part["example"])
            return
        if part["batch"] < self.number:
            return
        if part["batch"] > self.number:
            self.number, self._arriving, self.batch = part["batch"], [], []
        if not part["files"]:
            return
        if part["index"] == len(self._arriving):
            self._arriving.append((part["name"], bytearray()))
        self._arriving[-1][1].extend(buffers[0])
        if part["last"] and len(self._arriving) == part["files"]:
            self.batch = [(name, bytes(content)) for name, content in self._arriving]
            self._arriving = []

    def _send_example(self, name: str) -> None:
        if name in self.examples:
            self.send({"example": name}, [(self._folder / name).read_bytes()])


class App(ipywidgets.VBox):
    """The widget; put it last in a notebook's cell.

    predictor : what predicts; by default the model that ships, loaded on the first press.
    at_least : lowest probability of an emotion that is named, as of `Predictor.predict`.
    """

    def __init__(self, predictor: Predictor | None = None, at_least: float = 0.0) -> None:
        self._predictor, self._at_least = predictor, at_least
        self._emotions = predictor.emotions if predictor else EMOTIONS
        self._shown: list[str] = []
        self._rows: list[answers.Row] = []
        self.intake = Intake()
        self.button = ipywidgets.Button(
            description="Make predictions",
            button_style="primary",
            disabled=True,
            tooltip="Predict the audio chosen above",
            layout=ipywidgets.Layout(width="auto", height="36px"),
        )
        self.button.add_class("persona-press")
        self.status, self.results, self.saved, self.about = (ipywidgets.HTML() for _ in range(4))
        not_for = ipywidgets.HTML(f"<p class='persona-not-for'>{html.NOT_FOR}</p>")
        for part in (self.status, self.results, self.saved, self.about, not_for):
            part.add_class("persona")
        self.intake.observe(self._ready, "batch")
        self.button.on_click(self._predict)
        super().__init__(
            [self.intake, self.button, self.status, self.saved, self.results, not_for, self.about],
            layout=ipywidgets.Layout(max_width="800px", align_items="flex-start"),
        )

    def _ready(self, _: Any) -> None:
        self.button.disabled = not self.intake.batch
        self.status.value = ""

    def _predict(self, _: Any) -> None:
        self.button.disabled = True
        batch, number = self.intake.batch, self.intake.number
        try:
            for place, (name, content) in enumerate(batch):
                which = f"{place + 1} of {len(batch)}"
                self._show(self._answer(name, content, which, f"{number}-{place}"))
        finally:
            self.status.value = ""
            self.intake.batch = []

    def _answer(self, name: str, content: bytes, which: str, key: str) -> str:
        try:
            predicted = self._load().predict(
                content,
                name=name,
                at_least=self._at_least,
                progress=lambda share: self._say(f"Predicting {name} ({which})", share),
            )
            self._rows.append({"file": name, **predicted.to_dict()})
            return html.result(name, predicted, key)
        except PersonaError as error:
            sentence = str(error)
        except Exception:
            logging.getLogger(__name__).exception("%r", name)
            sentence = (
                f"{name} could not be predicted because of a fault in the program: please report "
                "it, with what the log of the notebook says."
            )
        self._rows.append({"file": name, "error": sentence})
        return html.error(sentence)

    def _load(self) -> Predictor:
        if self._predictor is None:
            self._say("Loading the model", 0.0)
            self._predictor = Predictor.load()
        if not self.about.value:
            card = self._predictor.card
            self.about.value = html.about(card["limits"], card["uses"]["refused"])
        return self._predictor

    def _say(self, sentence: str, share: float) -> None:
        self.status.value = html.progress(sentence, share)

    def _show(self, answer: str) -> None:
        self._shown, self._rows = [answer, *self._shown][:KEPT], self._rows[-KEPT:]
        self.results.value = "".join(self._shown)
        rows = self._rows
        self.saved.value = html.downloads(
            answers.csv_text(rows, self._emotions), answers.json_text(rows)
        )
