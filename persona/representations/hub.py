"""Networks by published weights: placed by hand, in the hub's cache, or downloaded once.

What is loaded cannot run code: tensors are read as tensors only (safetensors, or PyTorch's
`weights_only`), and networks are built from classes named in this package.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from persona.audio import RATE
from persona.errors import AudioError, WeightsError, listed
from persona.keeping import store

BY_HAND = "placed by hand"
PATIENCE = 10  # seconds for the hub's first answer
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
"""Of a model's name and of its revision on the hub; neither may hold ".."."""
NO_REVISION = "{!r} is not a revision of a model: give a branch, a tag or a commit."


@dataclass(frozen=True)
class Weights:
    """A folder that holds a model's published files, and the commit they are from.

    commit : full commit of the model's repository, or `BY_HAND`.
    """

    folder: Path
    commit: str

    def sha256(self, file: str) -> str:
        """SHA-256 of a file, in hexadecimal digits."""
        return store.sha256(self.folder / file)


class Pretrained(ABC):
    """A representation by weights from the hub. Clips are embedded one at a time: what a batch
    pads its shorter clips with would change them.

    A class of its own defines the attributes of a `Representation`, those below, `_load` and
    `_vector`, and adds to `provenance` what it says of its weights and parameters.

    PUBLISHED : names of models that need no SHA-256; the first is the default.
    files : of a model, that are needed.
    shortest : clip that has a vector, in samples.
    """

    rate = RATE
    thread_safe = True
    needs_download = True

    name: ClassVar[str]
    version: ClassVar[int]
    dimension: int
    PUBLISHED: ClassVar[tuple[str, ...]]
    files: ClassVar[tuple[str, ...]]
    shortest: ClassVar[int]

    def __init__(
        self, model: str, revision: str, sha256: Mapping[str, str | None] | None = None
    ) -> None:
        """Find or download the files and load them.

        model : identifier on the Hugging Face hub, one of `PUBLISHED`, or any with its SHA-256.
        revision : branch, tag or full commit. The weights are downloaded once and then kept, so a
            branch stays where it was; `provenance()` says at which commit.
        sha256 : what files have to be, by name; checked before anything is loaded.

        Raises `WeightsError` where they cannot be had, or cannot be loaded.
        """
        self.model, self.revision = model, revision
        self._weights = weights(
            self.name, model, revision, self.files, published=self.PUBLISHED, sha256=sha256
        )
        try:
            self._load(self._weights.folder)
        # A damaged file can raise nearly anything from the unpickler, and none of it is ours.
        except Exception as error:
            raise WeightsError(
                f"The weights in {self._weights.folder} cannot be used for {self.name} "
                f"({_in_few_words(error)}): remove {_spoilt(self._weights)} and run "
                f"`persona weights {self.name}` to download them again."
            ) from error

    @abstractmethod
    def _load(self, folder: Path) -> None:
        """Read the network; any error means that the files are not what they should be."""

    @abstractmethod
    def _vector(self, waveform: np.ndarray) -> np.ndarray:
        """Vector of one clip, shape (dimension,)."""

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors, float32 of shape (clips, dimension).

        waveforms : float32 arrays of shape (n,), mono, 16 kHz; `AudioError` for one of less than
            `shortest` samples.
        """
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for row, waveform in zip(vectors, waveforms, strict=True):
            if len(waveform) < self.shortest:
                raise AudioError(
                    f"A recording of {len(waveform) / RATE:.3f} s is too short for {self.name}: "
                    f"give it at least {self.shortest / RATE:.3f} s."
                )
            row[:] = self._vector(waveform)
        return vectors

    def provenance(self) -> dict[str, Any]:
        return {
            "representation": self.name,
            "version": self.version,
            "model": self.model,
            "revision": self.revision,
            "commit": self._weights.commit,
        }


def weights(
    name: str,
    model: str,
    revision: str,
    files: Sequence[str],
    *,
    published: Collection[str],
    sha256: Mapping[str, str | None] | None = None,
) -> Weights:
    """The `files` of `model` on the Hugging Face hub, for the representation `name`.

    A folder placed by hand comes first, then the hub's cache, where nothing is asked of the
    network, then the download, with the hub library's progress bar. `revision` is a branch, a
    tag or a full commit; all files are of the one commit it means when it is downloaded.

    published : the models that need no SHA-256.
    sha256 : what the files have to be, by name; None for a file of which nothing is known.

    Raises `WeightsError`: for a name that is not `owner/name`, for a model that is neither among
    `published` nor known by its SHA-256, for files that are missing or other than stated, and at
    the latest some ten seconds after the hub could not be reached.
    """
    match named(model, revision):
        case "model":
            raise WeightsError(
                f"{model!r} is not the name of a model: give it as owner/name, for example "
                "microsoft/wavlm-base."
            )
        case "revision":
            raise WeightsError(NO_REVISION.format(revision))
    expected = {file: value for file, value in (sha256 or {}).items() if value}
    if model not in published and not (sha256 and expected.keys() == sha256.keys()):
        known = f" or give the SHA-256 of {listed(list(sha256))}" if sha256 else ""
        raise WeightsError(
            f"{model} is not among the published models of {name}: "
            f"choose from {', '.join(published)},{known or ' and no other'}."
        )
    found = _by_hand(name, model, files) or _cached(model, revision, files)
    found = found or _downloaded(name, model, revision, files)
    for file, value in expected.items():
        if (actual := found.sha256(file)) != value:
            raise WeightsError(
                f"{file} in {found.folder} has the SHA-256 {actual} in place of {value}: it was "
                f"not loaded, so remove {_spoilt(found)} and get the file that was meant, or make "
                f"the vectors of {name} again."
            )
    return found


def by_hand(model: str) -> Path:
    """Folder where `model` may be placed: `$PERSONA_WEIGHTS/<model>`, else `weights/<model>`
    among what the user made or what ships, for example `data/weights/microsoft/wavlm-base`.
    """
    if root := environ.get("PERSONA_WEIGHTS"):
        return Path(root) / model
    return store.find("weights", *model.split("/"))


def _in_few_words(error: Exception) -> str:
    """Kind of `error` and the beginning of what it says, for the middle of a sentence."""
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line[:120].rstrip('. ')}"


class HubError(Exception):
    """Why the hub gave nothing, for the middle of a sentence.

    reached : whether it answered.
    """

    def __init__(self, why: str, reached: bool = True) -> None:
        super().__init__(why)
        self.reached = reached


def download(model: str, revision: str, files: Sequence[str]) -> Path:
    """Folder of the hub's cache that holds `files` of a model, as they are there now.

    Raises `HubError`, at the latest some ten seconds after the hub could not be reached.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import httpx

    try:
        # The download itself waits without end for a hub that does not answer; this does not.
        HfApi().model_info(model, revision=revision, timeout=PATIENCE)
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(files)))
    except (OSError, httpx.HTTPError, HFValidationError) as error:
        raise _reason(error, model, revision) from error


def cached(model: str, revision: str, files: Sequence[str]) -> Path | None:
    """Folder of the hub's cache with what was downloaded of a model before; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                model, revision=revision, allow_patterns=list(files), local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None


def named(model: str, revision: str) -> str:
    """What of a model's name and revision cannot be one: "model", "revision" or nothing."""
    if not _MODEL.fullmatch(model) or ".." in model:
        return "model"
    return "" if _REVISION.fullmatch(revision) and ".." not in revision else "revision"


def _reason(error: Exception, model: str, revision: str) -> HubError:
    from huggingface_hub import constants, errors
    from huggingface_hub.utils import httpx

    hub = constants.ENDPOINT
    match error:
        case errors.OfflineModeIsEnabled():
            return HubError("HF_HUB_OFFLINE is set", reached=False)
        case errors.GatedRepoError():
            return HubError(f"{hub} asks for an account for {model}")
        case errors.RepositoryNotFoundError():
            return HubError(f"{hub} has no model {model}")
        case errors.RevisionNotFoundError():
            return HubError(f"{hub} has no revision {revision} of {model}")
        case errors.HfHubHTTPError():
            return HubError(f"{hub} answered with status {error.response.status_code}")
        case httpx.TransportError() | errors.LocalEntryNotFoundError():
            return HubError(f"{hub} cannot be reached", reached=False)
        case PermissionError() if error.filename:
            return HubError(f"{error.filename} cannot be written, set HF_HOME to a folder that can")
        case _:
            return HubError(_in_few_words(error))


def _by_hand(name: str, model: str, files: Sequence[str]) -> Weights | None:
    folder = by_hand(model)
    if not folder.is_dir():
        return None
    if absent := _absent(folder, files):
        raise WeightsError(
            f"The folder {folder} lacks {listed(absent)} of {model}: add what is missing, or "
            f"remove the folder and run `persona weights {name}` to download the weights."
        )
    return Weights(folder, BY_HAND)


def _cached(model: str, revision: str, files: Sequence[str]) -> Weights | None:
    folder = cached(model, revision, files)
    return None if folder is None or _absent(folder, files) else Weights(folder, folder.name)


def _downloaded(name: str, model: str, revision: str, files: Sequence[str]) -> Weights:
    from huggingface_hub import constants

    try:
        folder = download(model, revision, files)
        absent = _absent(folder, files)
        why = f"{constants.ENDPOINT}/{model} has no {listed(absent)}" if absent else ""
    except HubError as error:
        why = str(error)
    if why:
        command = f"persona weights {name}"
        if revision != "main":
            command += f" --revision {revision}"
        raise WeightsError(
            f"The weights of {name} ({model}, revision {revision}) are not on this machine and "
            f"could not be downloaded ({why}): run `{command}` where there is a network, or "
            f"place {listed(files)} by hand in {by_hand(model)}."
        )
    return Weights(folder, folder.name)


def _spoilt(found: Weights) -> Path:
    # The cache keeps contents apart from the folder that names them; both have to go.
    return found.folder if found.commit == BY_HAND else found.folder.parents[1]


def _absent(folder: Path, files: Sequence[str]) -> list[str]:
    return [file for file in files if not (folder / file).is_file()]
