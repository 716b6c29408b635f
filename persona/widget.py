"""The app: choose or record audio, press the button, see emotion, gender and age."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from persona import audio, result_html
from persona.errors import PersonaError

if TYPE_CHECKING:
    from persona.predictor import Predictor

_STATIC = Path(__file__).resolve().parent / "static"

KEPT = 20
"""Results on the page; older ones make room."""


class Intake(anywidget.AnyWidget):
    """Chooses files or records, plays them, and collects their bytes.

    `batch` holds (name, content) of the audio chosen last, empty while it is on its way; choosing
    again replaces it.
    """

    _esm = _STATIC / "intake.js"
    _css = _STATIC / "app.css"
    accept = traitlets.Unicode(".wav,.mp3,.flac,.ogg").tag(sync=True)
    limit = traitlets.Float().tag(sync=True)
    batch: traitlets.List = traitlets.List()

    def __init__(self, **traits: Any) -> None:
        super().__init__(limit=audio.limit(), **traits)
        self._number = 0
        self._arriving: list[tuple[str, bytearray]] = []
        self.on_msg(self._take)

    def _take(self, _: Any, part: dict[str, Any], buffers: list[memoryview]) -> None:
        if part["batch"] != self._number:
            self._number, self._arriving, self.batch = part["batch"], [], []
        if part["index"] == len(self._arriving):
            self._arriving.append((part["name"], bytearray()))
        self._arriving[-1][1].extend(buffers[0])
        if part["last"] and len(self._arriving) == part["files"]:
            self.batch = [(name, bytes(content)) for name, content in self._arriving]
            self._arriving = []


class App(ipywidgets.VBox):
    """The widget; put it last in a notebook's cell.

    predictor : what hears; by default the model that ships, loaded on the first press.
    """

    def __init__(self, predictor: "Predictor | None" = None) -> None:
        self._predictor = predictor
        self._shown: list[str] = []
        self.intake = Intake()
        self.button = ipywidgets.Button(
            description="Make predictions",
            button_style="primary",
            disabled=True,
            tooltip="Hear the audio chosen above",
            layout=ipywidgets.Layout(width="auto", height="36px"),
        )
        self.button.add_class("persona-press")
        self.status, self.results, self.about = (ipywidgets.HTML() for _ in range(3))
        not_for = ipywidgets.HTML(f"<p class='persona-not-for'>{result_html.NOT_FOR}</p>")
        for part in (self.status, self.results, self.about, not_for):
            part.add_class("persona")
        self.intake.observe(self._ready, "batch")
        self.button.on_click(self._hear)
        super().__init__(
            [self.intake, self.button, self.status, self.results, not_for, self.about],
            layout=ipywidgets.Layout(max_width="800px", align_items="flex-start"),
        )

    def _ready(self, _: Any) -> None:
        self.button.disabled = not self.intake.batch
        self.status.value = ""

    def _hear(self, _: Any) -> None:
        self.button.disabled = True
        batch = self.intake.batch
        try:
            for number, (name, content) in enumerate(batch, start=1):
                self._show(self._answer(name, content, f"{number} of {len(batch)}"))
        finally:
            self.status.value = ""
            self.intake.batch = []

    def _answer(self, name: str, content: bytes, which: str) -> str:
        try:
            predictor = self._load()
            heard = predictor.predict(
                content,
                name=name,
                progress=lambda share: self._say(f"Hearing {name} ({which})", share),
            )
            return result_html.result(name, heard, result_html.envelope(content))
        except PersonaError as error:
            return result_html.error(str(error))
        except Exception:
            logging.getLogger(__name__).exception("%r", name)
            return result_html.error(
                f"{name} could not be heard because of a fault in the program: please report it, "
                "with what the log of the notebook says."
            )

    def _load(self) -> "Predictor":
        if self._predictor is None:
            from persona.predictor import Predictor

            self._say("Loading the model", 0.0)
            self._predictor = Predictor.load()
        if not self.about.value:
            card = self._predictor.card
            self.about.value = result_html.about(card["limits"], card["uses"]["refused"])
        return self._predictor

    def _say(self, sentence: str, share: float) -> None:
        self.status.value = result_html.progress(sentence, share)

    def _show(self, answer: str) -> None:
        self._shown = [answer, *self._shown][:KEPT]
        self.results.value = "".join(self._shown)
