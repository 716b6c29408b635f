"""CREMA-D as a table: one row per clip, its oddities, and the hash that names its version."""

import hashlib
from typing import TYPE_CHECKING

from persona import paths
from persona.errors import CorpusError

if TYPE_CHECKING:
    from pandas import DataFrame

EMOTIONS = ("anger", "disgust", "fear", "happy", "neutral", "sad")
GENDERS = ("female", "male")
POLICIES = ("clean", "all")
COLUMNS = (
    "clip",
    "speaker",
    "age",
    "gender",
    "race",
    "ethnicity",
    "sentence",
    "emotion",
    "level",
    "seconds",
    "wav_sha256",
    "wav_bytes",
    "voice_vote",
    "silent",
)

COMMIT = "1658cd342dff90010aa843eaeebd53610a08b1dc"
"""Commit of the official repository (CheyneyComputerScience/CREMA-D) that is downloaded."""


def clips(policy: str = "clean") -> "DataFrame":
    """Clips of CREMA-D with their labels, sorted by clip name.

    Parameters
    ----------
    policy : "clean" leaves out every clip listed by `oddities`; "all" keeps all 7,442.

    Returns
    -------
    DataFrame with the columns

    - clip : file name without extension, `SPEAKER_SENTENCE_EMOTION_LEVEL`
    - speaker : actor's number
    - age : years
    - gender : one of `GENDERS` (the corpus's "Sex": the binary sex the actor stated)
    - race, ethnicity : as the corpus records them
    - sentence : one of twelve three-letter codes
    - emotion : one of `EMOTIONS`, the one the actor was asked for
    - level : intensity asked for: LO, MD, HI, or XX (unspecified)
    - seconds : duration
    - wav_sha256, wav_bytes : of the official WAV file
    - voice_vote : emotion most listeners heard by voice alone; where the vote is tied, all the
      leading emotions joined with ":" in alphabetical order, e.g. "anger:neutral"
    - silent : True where the audio is digital silence (see `is_silent`)

    Raises
    ------
    CorpusError : unknown policy, or the table is not in the data folder.
    """
    import pandas

    if policy not in POLICIES:
        raise CorpusError(f"There is no clip policy {policy!r}; use one of {', '.join(POLICIES)}.")
    path = paths.data() / "crema-d" / "clips.csv"
    try:
        table = pandas.read_csv(path, keep_default_na=False)
    except FileNotFoundError as error:
        raise CorpusError(
            f"The table of clips {path} is missing: restore it from the repository, "
            "or point PERSONA_DATA to the folder that holds crema-d/clips.csv."
        ) from error
    if policy == "clean":
        table = table[~table["clip"].isin(oddities(table)["clip"])].reset_index(drop=True)
    return table


def oddities(table: "DataFrame | None" = None) -> "DataFrame":
    """Clips that no label can describe: digital silence, and one recording under several names.

    A clip's name states speaker, sentence, emotion and level, so byte-identical clips always
    contradict each other; nothing tells which label is right and every copy is listed.

    Parameters
    ----------
    table : clips to examine, default `clips("all")`.

    Returns
    -------
    DataFrame(clip, oddity, detail); oddity is "silent" or "duplicate", detail says it in words.
    """
    import pandas

    table = clips("all") if table is None else table
    found = [
        (clip, "silent", "digital silence: every sample is the same")
        for clip in table.loc[table["silent"], "clip"]
    ]
    for _, twins in table.groupby("wav_sha256", sort=False)["clip"]:
        for clip in twins if len(twins) > 1 else ():
            others = ", ".join(other for other in twins if other != clip)
            found.append((clip, "duplicate", f"byte-identical to {others}"))
    frame = pandas.DataFrame(found, columns=["clip", "oddity", "detail"])
    return frame.sort_values(["oddity", "clip"], ignore_index=True)


def corpus_hash(table: "DataFrame | None" = None) -> str:
    """Version of the corpus: SHA-256 over the lines `clip wav_sha256`, sorted by clip.

    Parameters
    ----------
    table : clips to hash, default `clips("all")`.
    """
    table = clips("all") if table is None else table
    pairs = sorted(zip(table["clip"], table["wav_sha256"], strict=True))
    return hashlib.sha256("".join(f"{c} {h}\n" for c, h in pairs).encode()).hexdigest()
