"""VoxCeleb 1 and 2 with a list of ages: `id00012/21Uxsk56VDQ/00001.wav` (or .m4a) anywhere below.

Ages come from what lies beside the audio:

- `final_dataframe_extended.csv`, `age-train.txt`, `age-test.txt`: by video (Hechmi et al. 2021,
  github.com/hechmik/voxceleb_enrichment_age_gender)
- `utt2age.train`, `utt2age.test`: by clip, guessed from faces (Tawara et al. 2021,
  github.com/nttcslab-sp/agevoxceleb)

and genders from `vox1_meta.csv`, `vox2_meta.csv`. Clips of no known age or gender are left out.
Tried on made trees only; values of ages were looked at in the real lists.
"""

from collections.abc import Iterator
from pathlib import Path

from persona.corpora.layouts.files import Coded, Row, audio, gender, rows
from persona.corpora.table import OLDEST
from persona.errors import CorpusError

HOLDS = "id00012/21Uxsk56VDQ/00001.wav and a list of ages (age-train.txt, utt2age.train, ...)"

OF_VIDEOS = ("final_dataframe_extended.csv", "age-train.txt", "age-test.txt")
OF_CLIPS = ("utt2age.train", "utt2age.test")


def clips(folder: Path) -> Iterator[Row]:
    """Rows of the corpus in a folder."""
    ages, genders = _ages(folder), _genders(folder)
    if not ages and not genders:
        raise CorpusError(f"{folder} holds no list of ages: name the folder that holds {HOLDS}.")
    for file in audio(folder):
        speaker, video = file.parts[-3:-1]
        age = ages.get(f"{speaker}/{video}/{file.stem}") or ages.get(f"{speaker}/{video}", "")
        labels = {"gender": genders.get(speaker, ""), "age": age}
        if any(labels.values()):
            yield {"file": file, "speaker": speaker, **labels}


def _ages(folder: Path) -> dict[str, str]:
    """Age by speaker and video, or by speaker, video and clip, joined by slashes."""
    found = {}
    for name in filter(lambda name: (folder / name).is_file(), OF_VIDEOS):
        for row in rows(folder / name):
            if 0 < float(row["speaker_age"] or 0) < OLDEST:
                found[f"{row['VoxCeleb_ID']}/{row['video_id']}"] = row["speaker_age"]
    for name in filter(lambda name: (folder / name).is_file(), OF_CLIPS):
        found |= dict(line.split() for line in (folder / name).read_text("utf-8").splitlines())
    return found


def _genders(folder: Path) -> dict[str, str]:
    found = {}
    for version in "12":
        if (file := folder / f"vox{version}_meta.csv").is_file():
            for row in rows(file, "\t"):
                found[row[f"VoxCeleb{version} ID"]] = gender(row["Gender"])
    return found


LAYOUT = Coded(HOLDS, clips)
