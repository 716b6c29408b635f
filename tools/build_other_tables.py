"""Build data/emodb/clips.csv or data/speechocean762/clips.csv from the corpus itself.

python tools/build_other_tables.py emodb FOLDER_OF_AUDIO
python tools/build_other_tables.py speechocean762 CHECKOUT
"""

import argparse
from pathlib import Path

import pandas as pd
from build_crema_d_table import write

from persona import audio
from persona.corpora import EmoDB, Speechocean
from persona.corpora.base import Published, pcm
from persona.corpora.layouts.published import EMODB_AGES, EMODB_EMOTIONS, EMODB_GENDERS
from persona.errors import CorpusError
from persona.keeping import store
from persona.labels import GENDERS

CLIPS = 10
"""Clips taken of each speaker of speechocean762."""

SPEECHOCEAN_COMMIT = "613968e3b0b789fc33936fb5eba1973176ba7d11"


def emodb(folder: Path, out: Path | None = None) -> pd.DataFrame:
    """Write the table of the EmoDB whose WAV or FLAC files are in `folder`.

    Raises `CorpusError` where there is no audio, or a file that is not named like EmoDB's.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".wav", ".flac"})
    if not files:
        raise CorpusError(f"There is no WAV or FLAC file of EmoDB in {folder}.")
    table = pd.DataFrame([{"clip": file.stem, "file": file} | labels(file.stem) for file in files])
    source = f"{len(table)} clips of EmoDB; those of boredom are left out"
    return _write(EmoDB, table[table["emotion"].notna()], out, source=source)


def labels(clip: str) -> dict[str, object]:
    """Speaker, age, gender and emotion (None: boredom) that the name of a clip states.

    Raises `CorpusError` for a name that is not EmoDB's.
    """
    try:
        speaker, emotion = int(clip[:2]), EMODB_EMOTIONS[clip[5]]
        gender, age = EMODB_GENDERS[clip[:2]], EMODB_AGES[clip[:2]]
    except (KeyError, ValueError, IndexError) as error:
        raise CorpusError(
            f"{clip} is not named like a clip of EmoDB (e.g. 03a01Fa): remove it."
        ) from error
    known = None if emotion == "boredom" else emotion
    return {"speaker": speaker, "age": age, "gender": gender, "emotion": known}


def speechocean(folder: Path, out: Path | None = None) -> pd.DataFrame:
    """Write the table of a checkout of jimbozhang/speechocean762.

    Of every speaker it takes the first clip of each of `CLIPS` equal stretches of the clips in the
    order of their names. Raises `CorpusError` for another folder.
    """
    table = pd.concat([_speakers(folder / part) for part in ("train", "test")]).sort_values("clip")
    number = table.groupby("speaker").cumcount()
    of = table.groupby("speaker")["clip"].transform("size")
    table = table[(number * CLIPS) % of < CLIPS]
    names = zip(table["speaker"], table["clip"], strict=True)
    files = [folder / "WAVE" / f"SPEAKER{speaker}" / f"{clip}.WAV" for speaker, clip in names]
    return _write(
        Speechocean, table.assign(file=pd.Series(files, index=table.index)), out,
        source="https://github.com/jimbozhang/speechocean762", commit=SPEECHOCEAN_COMMIT,
    )  # fmt: skip


def _speakers(part: Path) -> pd.DataFrame:
    try:
        utterances, ages, genders = (
            pd.read_csv(part / name, sep=r"\s+", header=None, dtype=str)
            for name in ("utt2spk", "spk2age", "spk2gender")
        )
    except OSError as error:
        raise CorpusError(
            f"{part.parent} is no checkout of speechocean762: {error.filename} is missing."
        ) from error
    utterances.columns = ["clip", "speaker"]
    age, gender = (dict(zip(table[0], table[1], strict=True)) for table in (ages, genders))
    full = {name[0]: name for name in GENDERS}
    return utterances.assign(
        age=utterances["speaker"].map(age).astype(int),
        gender=utterances["speaker"].map(gender).map(full),
    )


def _write(
    corpus: type[Published], table: pd.DataFrame, out: Path | None, **provenance: str
) -> pd.DataFrame:
    waveforms = [audio.read(file).samples for file in table["file"]]
    table = table.drop(columns="file").assign(
        seconds=[len(waveform) / audio.RATE for waveform in waveforms],
        pcm_sha256=[corpus.digest(pcm(waveform)) for waveform in waveforms],
    )
    write(corpus, table, store.shipped() / corpus.name if out is None else out,
          made_by="tools/build_other_tables.py", **provenance)  # fmt: skip
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", choices=(EmoDB.name, Speechocean.name))
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    (emodb if given.corpus == EmoDB.name else speechocean)(given.folder)
