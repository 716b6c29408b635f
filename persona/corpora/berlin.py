"""EmoDB, the Berlin Database of Emotional Speech: unseen speakers in another language."""

from pathlib import Path
from typing import TYPE_CHECKING

from persona.errors import CorpusError

if TYPE_CHECKING:
    from pandas import DataFrame

_EMOTIONS = {
    "W": "anger",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "N": "neutral",
    "T": "sad",
    "L": None,
}
_SPEAKERS = {
    3: ("male", 31),
    8: ("female", 34),
    9: ("female", 21),
    10: ("male", 32),
    11: ("male", 26),
    12: ("male", 30),
    13: ("female", 32),
    14: ("female", 35),
    15: ("male", 25),
    16: ("female", 31),
}


def emodb(folder: Path) -> "DataFrame":
    """Clips of EmoDB with CREMA-D's labels, sorted by clip name.

    The sixth character of a clip's name is its emotion: W anger, E disgust, A fear, F happy
    (happiness), N neutral, T sad (sadness). L, boredom, has no counterpart in CREMA-D and is
    dropped. Source: Burkhardt et al., "A database of German emotional speech", Interspeech 2005.

    Parameters
    ----------
    folder : folder that directly holds the WAV or FLAC files, e.g. `03a01Fa.wav`.

    Returns
    -------
    DataFrame(clip, path, speaker, age, gender, emotion): path is a `Path`, age is in years,
    gender and emotion are of `GENDERS` and `EMOTIONS`. The complete corpus gives 454 clips.

    Raises
    ------
    CorpusError : no audio in the folder, or a file that is not named as EmoDB names its clips.
    """
    import pandas

    files = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in {".wav", ".flac"})
    if not files:
        raise CorpusError(f"There is no WAV or FLAC file of EmoDB in {folder}.")
    columns = ["clip", "path", "speaker", "age", "gender", "emotion"]
    rows = [row for path in files if (row := _row(path))[-1] is not None]
    return pandas.DataFrame(rows, columns=columns).sort_values("clip", ignore_index=True)


def _row(path: Path) -> tuple[str, Path, int, int, str, str | None]:
    clip = path.stem
    try:
        speaker, emotion = int(clip[:2]), _EMOTIONS[clip[5]]
        gender, age = _SPEAKERS[speaker]
    except (KeyError, ValueError, IndexError) as error:
        raise CorpusError(
            f"{path} is not named like a clip of EmoDB (e.g. 03a01Fa.wav): remove it."
        ) from error
    return clip, path, speaker, age, gender, emotion
