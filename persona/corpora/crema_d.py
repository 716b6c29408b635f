"""CREMA-D: 91 actors say twelve sentences in six emotions; its clips and their oddities."""

import hashlib
import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from persona.audio import RATE
from persona.corpora.base import Published
from persona.errors import CorpusError
from persona.keeping import store
from persona.labels import EMOTIONS

if TYPE_CHECKING:
    from pandas import DataFrame

POLICIES = ("clean", "all")

COMMIT = "1658cd342dff90010aa843eaeebd53610a08b1dc"
"""Commit of the official repository (CheyneyComputerScience/CREMA-D) that is downloaded."""

CODES = dict(zip(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), EMOTIONS, strict=True))
"""Emotions by their codes in the names of clips."""

SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
"""What the actors say, by its code in the names of clips."""


class CremaD(Published):
    """CREMA-D (Cao et al. 2014).

    policy : "clean" leaves out every clip listed by `oddities`; "all" keeps all 7,442. The
        fingerprint is the whole corpus's under either.
    folder : of the WAV or FLAC files, default `audio_folder("crema-d")`.
    """

    name = "crema-d"
    title = "CREMA-D"
    licence = "ODbL-1.0 (database), DbCL-1.0 (contents)"
    citation = (
        "Cao, Cooper, Keutmann, Gur, Nenkova and Verma (2014), CREMA-D: Crowd-sourced Emotional "
        "Multimodal Actors Dataset, IEEE Transactions on Affective Computing 5 (4)"
    )
    language = "en"
    hint: ClassVar[str] = (
        "run `persona corpus fetch`, or `persona corpus fetch --from DIR` if you have a copy."
    )
    digest_column = "wav_sha256"

    def __init__(self, policy: str = "clean", folder: Path | str | None = None) -> None:
        if policy not in POLICIES:
            raise CorpusError(
                f"There is no clip policy {policy!r}; use one of {', '.join(POLICIES)}."
            )
        super().__init__(folder)
        self.policy = policy

    def clips(self) -> "DataFrame":
        """Clips with their labels, sorted by clip name.

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
        - silent : True where the audio is digital silence: every sample is the same
        """
        if self.policy == "all":
            return self.table.copy()
        odd = self.table["clip"].isin(oddities(self.table)["clip"])
        return self.table[~odd].reset_index(drop=True)

    def check(self, clip: str) -> None:
        # What is byte for byte the official file need not be decoded.
        if store.sha256(self.file(clip)) != self.known.get(clip):
            self.waveform(clip)

    @staticmethod
    def digest(samples: bytes) -> str:
        """SHA-256 of the official WAV file that holds these samples."""
        return hashlib.sha256(wav(samples)).hexdigest()


def oddities(table: "DataFrame | None" = None) -> "DataFrame":
    """Clips that no label can describe: digital silence, and one recording under several names.

    A clip's name states speaker, sentence, emotion and level, so byte-identical clips always
    contradict each other; nothing tells which label is right and every copy is listed.

    Parameters
    ----------
    table : clips to examine, default all of CREMA-D.

    Returns
    -------
    DataFrame(clip, oddity, detail); oddity is "silent" or "duplicate", detail says it in words.
    """
    import pandas

    table = CremaD("all").table if table is None else table
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


def votes() -> "DataFrame":
    """How many listeners heard each emotion by the voice alone, columns clip and `EMOTIONS`.

    All 7,442 clips, by name; 4 to 12 people heard each.
    """
    import pandas

    return pandas.DataFrame(
        store.read_table(store.shipped() / CremaD.name / "votes.parquet").columns
    )


def wav(samples: bytes) -> bytes:
    """WAV file around little-endian 16-bit samples, byte for byte as the official files are."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, RATE, 0, "NONE", ""))
        written.writeframes(samples)
    return file.getvalue()
