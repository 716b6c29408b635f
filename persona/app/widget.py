"""The app: choose or record audio, press the button, see emotion, gender and age."""

import logging
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from persona import audio
from persona.app import offered
from persona.app.following import Following
from persona.errors import PersonaError
from persona.model import answers, enrolment
from persona.model.live import Event
from persona.model.prediction import Person
from persona.model.predictor import Predictor
from persona.people.voice import Voice

_STATIC = Path(__file__).resolve().parent / "static"
_MODULES = (
    "csv.js", "microphone.js", "intake.js", "usual.js", "view.js", "worth.js", "offers.js",
    "clearing.js", "speaking.js", "app.js",
    "widget.js",
)  # fmt: skip

KEPT = 20
"""Answers on the page; older ones make room."""


def module() -> str:
    """The front end as the one module that a notebook takes; no two parts share a name."""
    text = "\n".join((_STATIC / name).read_text("utf-8") for name in _MODULES)
    return re.sub(r"(?m)^import .*\n|^export (?!default)", "", text)


def _said(content: bytes, person: Person) -> tuple[np.ndarray, int]:
    """What one of several people says, with pauses between, and its rate."""
    samples, pause = audio.read(content).samples, np.zeros(audio.RATE // 2, np.float32)
    spans = (span for turn in person.turns for span in turn.speech)
    pieces = [samples[int(a * audio.RATE) : int(b * audio.RATE)] for a, b in spans]
    return np.concatenate([part for piece in pieces for part in (piece, pause)]), audio.RATE


class App(anywidget.AnyWidget):
    """The widget; put it last in a notebook's cell.

    predictor : what predicts; by default the model that ships.
    at_least : lowest probability of an emotion that is named, as of `Predictor.predict`.

    `answers` are those on the page, the oldest first: each a `row` of its file (a prediction's
    `to_dict`, or an `error`), the `envelope` that is drawn, and its `key`, which is the browser's.
    `offered` is what there is to try, as of `persona.app.offered`.
    """

    _esm = module()
    _css = _STATIC / "app.css"
    accept = traitlets.Unicode(",".join(audio.EXTENSIONS)).tag(sync=True)
    limit = traitlets.Float().tag(sync=True)
    offered = traitlets.Dict().tag(sync=True)
    card = traitlets.Dict().tag(sync=True)
    columns = traitlets.Dict().tag(sync=True)
    made_by = traitlets.Unicode().tag(sync=True)
    answers = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(self, predictor: Predictor | None = None, at_least: float = 0.0) -> None:
        self._predictor, self._at_least = predictor or Predictor.load(), at_least
        self._arriving: dict[str, bytearray] = {}
        self._followed: dict[str, Following] = {}
        super().__init__(
            limit=audio.limit(),
            offered=offered.offered(self._predictor.fingerprint),
            card={name: self._predictor.card[name] for name in ("limits", "uses")},
            made_by=self._predictor.fingerprint,
            columns={by: list(answers.columns(self._predictor.emotions, by)) for by in answers.BY},
        )
        self.on_msg(self._take)

    def _take(self, _: Any, part: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """An example that is wanted, or the next part of a recording, whose last is answered, or
        learnt from; or a recording that is being made.
        """
        if "live" in part:
            self._follow(part["live"], part, buffers)
            return
        if "example" in part:
            if (name := part["example"]) in {clip["name"] for clip in self.offered["clips"]}:
                self.send({"example": name}, [offered.clip(name)])
            return
        key = part["key"]
        self._arriving.setdefault(key, bytearray()).extend(buffers[0])
        if part["last"]:
            content = bytes(self._arriving.pop(key))
            if "learn" in part:
                self.send({"key": key, **self._learnt(part["name"], content, **part["learn"])})
                return
            answer = {"key": key, **self._answer(part["name"], content, key, part.get("voice"))}
            self.answers = [*self.answers, answer][-KEPT:]

    def _follow(self, key: str, part: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """A recording begins, its next block has come, or it is over.

        What comes of one that did not begin here is let go: its kernel was started anew.
        """
        if "rate" in part:
            stream = partial(self._stream, rate=part["rate"], kept=part.get("voice"))
            self._followed[key] = Following(stream, partial(self._tell, key))
        elif key not in self._followed:
            return
        elif "over" in part:
            self._followed.pop(key).end()
        else:
            self._followed[key].hear(bytes(buffers[0]))

    def _stream(
        self, blocks: Iterable[np.ndarray], rate: float, kept: dict[str, Any] | None
    ) -> Iterable[Event]:
        voice = Voice.from_dict(kept) if kept else None
        return self._predictor.stream(blocks, rate, at_least=self._at_least, voice=voice)

    def _tell(self, key: str, told: dict[str, Any]) -> None:
        self.send({"live": key, **told})

    def _learnt(self, name: str, content: bytes, person: int, plain: bool) -> dict[str, Any]:
        """The voice of one who speaks, which the browser keeps, or why there is none."""
        try:
            people = self._predictor.predict(content, name=name).people
            source = content if len(people) == 1 else _said(content, people[person])
            return {"voice": enrolment.learn(self._predictor, [source], plain=plain).to_dict()}
        except PersonaError as error:
            return {"error": str(error)}

    def _answer(
        self, name: str, content: bytes, key: str, kept: dict[str, Any] | None
    ) -> dict[str, Any]:
        asked: dict[str, Any] = {"name": name, "at_least": self._at_least}
        note = []
        try:
            predicted = self._predictor.predict(
                content, progress=lambda share: self.send({"key": key, "share": share}), **asked
            )
            if kept and len(predicted.people) == 1:
                voice = Voice.from_dict(kept)
                predicted = self._predictor.predict(content, voice=voice, **asked)
                note = ["emotion is read against the voice that was learnt"]
            elif kept:
                note = ["several people speak: the voice that was learnt is not used"]
            row = {"file": name, **predicted.to_dict()}
            row["notes"] += note
            return {"row": row, "envelope": predicted.outline().tolist()}
        except PersonaError as error:
            sentence = str(error)
        except Exception:
            logging.getLogger(__name__).exception("%r", name)
            sentence = (
                f"{name} could not be predicted because of a fault in the program: please report "
                "it, with what the log of the notebook says."
            )
        return {"row": {"file": name, "error": sentence}}
