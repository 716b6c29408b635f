"""A model as it is kept and shared: a folder of its card, its heads and its weights.

card.json says what the model is and holds the SHA-256 of the other two; heads.onnx answers;
model.safetensors holds the networks' weights, to train them further. None of them can hold code.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.errors import ModelError, PersonaError, listed
from persona.keeping import store
from persona.labels import EMOTIONS
from persona.model import card as cards
from persona.model.card import CARD, HEADS, WEIGHTS
from persona.model.hub_page import readme
from persona.representations import hub

if TYPE_CHECKING:
    from persona.network import Ensemble

FILES = (CARD, HEADS, WEIGHTS)


@dataclass(frozen=True)
class Model:
    """What a model's folder holds, checked.

    card : see `card`. heads : an ONNX graph, see `heads`. weights : a safetensors file, None where
    the folder lacks it, as that of the model inside an installed package does.
    """

    card: dict[str, Any]
    heads: bytes
    weights: bytes | None

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the model to `folder` and return it.

        Raises `StoreError` where it cannot be written, `ModelError` where it has no weights.
        """
        out, weights = Path(folder), self._trainable()
        digests = {HEADS: _sha256(self.heads), WEIGHTS: _sha256(weights)}
        card = {**self.card, "format": cards.FORMAT, "sha256": digests}
        cards.check(card, CARD)
        store.write_bytes(out / HEADS, self.heads)
        store.write_bytes(out / WEIGHTS, weights)
        store.write_json(out / CARD, card)
        return out

    def push_to_hub(self, name: str, *, private: bool = False) -> str:
        """Share the model on the Hugging Face hub as `name` ("owner/model"); returns its address.

        Its page there is written from its card. Uses the account of `hf auth login` or of HF_TOKEN.
        """
        from tempfile import TemporaryDirectory

        from huggingface_hub import HfApi

        _check_names(name)
        api = HfApi()
        address = api.create_repo(name, private=private, exist_ok=True)
        with TemporaryDirectory() as folder:
            self.save(folder)
            store.write_bytes(Path(folder) / "README.md", readme(self.card, name).encode())
            api.upload_folder(repo_id=name, folder_path=folder)
        return str(address)

    @property
    def emotions(self) -> int:
        """Classes of emotion that the heads tell apart, where the model does not answer it, too:
        then its weights say how many labels of the training were left out.
        """
        if (answered := cards.tasks(self.card).get("emotion")) or self.weights is None:
            return len(answered or EMOTIONS)
        try:
            header = self.weights[8 : 8 + int.from_bytes(self.weights[:8], "little")]
            return int(json.loads(header)["networks.0.emotion.weight"]["shape"][0])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise _unfitting() from error

    def networks(self) -> "Ensemble":
        """The networks, to look into or to train further; imports torch.

        Raises `ModelError` where the weights are missing or do not fit the card.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load as load_tensors

        from persona.network import Ensemble, Network

        weights = self._trainable()
        described = dict(self.card["network"])
        count = described.pop("networks")
        parts = described.pop("parts", [()] * count)
        described["emotions"] = self.emotions
        try:
            ensemble = Ensemble([Network(**described, columns=columns) for columns in parts])
            ensemble.load_state_dict(load_tensors(weights))
        except (RuntimeError, ValueError, SafetensorError, PersonaError) as error:
            raise _unfitting() from error
        return ensemble.eval()

    def _trainable(self) -> bytes:
        if self.weights is None:
            raise ModelError(
                f"The model has no {WEIGHTS}, without which it answers but cannot be saved or "
                "trained further: get that file from where the model is from."
            )
        return self.weights


def load(model: str | os.PathLike[str] | None = None, revision: str | None = None) -> Model:
    """Read a model and check it.

    model : a folder, or a name on the hub such as "someone/persona"; default the one that ships.
    revision : branch, tag or commit on the hub.

    Raises `ModelError` where there is no such model or it is damaged.
    """
    if not isinstance(model, str | os.PathLike | None):
        raise ModelError(f"{model!r} is no model: give a folder, or a name on the hub.")
    if model is None:
        folder = store.shipped() / "models" / "default"
    elif os.path.isdir(model):
        folder = Path(model)
    else:
        folder = _from_hub(os.fspath(model), revision or "main")
    card = cards.read(folder)
    heads = _content(folder / HEADS, card["sha256"][HEADS])
    has_weights = (folder / WEIGHTS).exists()
    return Model(
        card, heads, _content(folder / WEIGHTS, card["sha256"][WEIGHTS]) if has_weights else None
    )


def _unfitting() -> ModelError:
    return ModelError(
        f"{WEIGHTS} does not fit the network that its card describes: get the model again."
    )


def _content(file: Path, sha256: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read ({error.strerror}): get the model again."
        ) from error
    if _sha256(content) != sha256:
        raise ModelError(f"{file} is damaged, or not what its card describes: get the model again.")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_names(name: str, revision: str = "main") -> None:
    match hub.named(name, revision):
        case "model":
            raise ModelError(
                f"There is no model {name!r}: give a folder with {listed(FILES)}, or the name of "
                "a model on the Hugging Face hub (owner/model)."
            )
        case "revision":
            raise ModelError(hub.NO_REVISION.format(revision))


def _from_hub(name: str, revision: str) -> Path:
    if find_spec("huggingface_hub") is None:
        raise ModelError(
            f"There is no folder {name}, and a model of that name on the hub needs a library: "
            "pip install 'persona-voice[hub]'."
        )
    _check_names(name, revision)
    try:
        return hub.download(name, revision, FILES)
    except hub.HubError as error:
        before = None if error.reached else hub.cached(name, revision, FILES)
        if before is not None:
            return before  # what was downloaded before will do
        raise ModelError(
            f"There is no folder {name}, and no model of that name could be had from the hub "
            f"({error}): check the name and the network."
        ) from error
