"""Published weights on this machine: placed by hand, in the hub's cache, or downloaded once."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from persona import paths
from persona.errors import WeightsError

BY_HAND = "placed by hand"


@dataclass(frozen=True)
class Weights:
    """A folder that holds a model's published files, and the commit they are from.

    commit : full commit of the model's repository, or `BY_HAND`.
    """

    folder: Path
    commit: str

    def sha256(self, file: str) -> str:
        with open(self.folder / file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()


def by_hand(model: str) -> Path:
    """Folder where `model` may be placed: `$PERSONA_WEIGHTS/<model>`, else `weights/<model>`
    in the data folder, for example `data/weights/microsoft/wavlm-base`.
    """
    root = os.environ.get("PERSONA_WEIGHTS") or paths.data() / "weights"
    return Path(root) / model


def weights(name: str, model: str, revision: str, files: Sequence[str]) -> Weights:
    """The `files` of `model` on the Hugging Face hub, for the representation `name`.

    A folder placed by hand comes first, then the hub's cache, where nothing is asked of the
    network, then the download, with the hub library's progress bar. `revision` is a branch, a
    tag or a full commit; all files are of the one commit it means when it is downloaded.

    Raises `WeightsError`, at the latest some ten seconds after the hub could not be reached.
    """
    folder = by_hand(model)
    if folder.is_dir():
        if absent := [file for file in files if not (folder / file).is_file()]:
            raise WeightsError(
                f"The folder {folder} lacks {_listed(absent)} of {model}: add what is missing, or "
                f"remove the folder and run `persona weights {name}` to download the weights."
            )
        return Weights(folder, BY_HAND)
    return _cached(model, revision, files) or _downloaded(name, model, revision, files)


def unusable(name: str, found: Weights, why: str) -> WeightsError:
    """The error for files that are here but cannot be loaded, and `why` in a few words."""
    # The cache keeps contents apart from the folder that names them; both have to go.
    spoilt = found.folder if found.commit == BY_HAND else found.folder.parents[1]
    return WeightsError(
        f"The weights in {found.folder} cannot be used for {name} ({why}): "
        f"remove {spoilt} and run `persona weights {name}` to download them again."
    )


def in_few_words(error: Exception) -> str:
    """Kind of `error` and the beginning of what it says, for the middle of a sentence."""
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line[:120].rstrip('. ')}"


def _cached(model: str, revision: str, files: Sequence[str]) -> Weights | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = [
            Path(hf_hub_download(model, file, revision=revision, local_files_only=True))
            for file in files
        ]
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return Weights(found[0].parent, found[0].parent.name)


def _downloaded(name: str, model: str, revision: str, files: Sequence[str]) -> Weights:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import httpx

    try:
        # The download itself retries an unreachable host for half a minute and longer; this
        # asks once.
        get_hf_file_metadata(hf_hub_url(model, files[0], revision=revision))
        first = Path(hf_hub_download(model, files[0], revision=revision))
        commit = first.parent.name
        for file in files[1:]:
            hf_hub_download(model, file, revision=commit)
    except (OSError, httpx.HTTPError, HFValidationError) as error:
        command = f"persona weights {name}"
        if revision != "main":
            command += f" --revision {revision}"
        raise WeightsError(
            f"The weights of {name} ({model}, revision {revision}) are not on this machine and "
            f"could not be downloaded ({reason(error, model, revision)}): run "
            f"`{command}` where there is a network, or place {_listed(files)} "
            f"by hand in {by_hand(model)}."
        ) from error
    return Weights(first.parent, commit)


def reason(error: Exception, model: str, revision: str) -> str:
    from huggingface_hub import constants, errors
    from huggingface_hub.utils import httpx

    hub = constants.ENDPOINT
    match error:
        case errors.OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set"
        case errors.GatedRepoError():
            return f"{hub} asks for an account for {model}"
        case errors.RepositoryNotFoundError():
            return f"{hub} has no model {model}"
        case errors.RevisionNotFoundError():
            return f"{hub} has no revision {revision} of {model}"
        case errors.RemoteEntryNotFoundError():
            return f"{error.response.url} does not exist"
        case errors.HfHubHTTPError():
            return f"{hub} answered with status {error.response.status_code}"
        case httpx.TransportError() | errors.LocalEntryNotFoundError():
            return f"{hub} cannot be reached"
        case _:
            return in_few_words(error)


def _listed(files: Sequence[str]) -> str:
    *most, last = files
    return f"{', '.join(most)} and {last}" if most else last
