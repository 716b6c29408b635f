"""What is wrong with a table of clips before anything is trained on it: a list, and a page."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from persona.audio import speech
from persona.corpora import LABELS, Corpus
from persona.corpora.base import pcm
from persona.errors import AudioError, CorpusError
from persona.folds import FOLDS
from persona.keeping import parallel, progress
from persona.labels import TASKS
from persona.own import copies
from persona.own.doubts import Finding, doubts
from persona.own.style import BLUE, subplots

PART = 64
"""Clips that a worker measures at once."""

QUALITIES = ("level", "bandwidth", "snr", "seconds")
"""Of a recording, not of what is said in it: by these alone no label should be told."""

_NOT_LOOKED = Finding(
    "Near-duplicates",
    "Copies at another level or in another format were not looked for, as some files cannot be "
    "used: put them right, and look again.",
)

_LISTED = 20


def measure(corpus: Corpus, jobs: int | None = None) -> pd.DataFrame:
    """A row per clip, sorted by name: `problem` (empty, or a sentence), `digest` of its samples,
    and `QUALITIES` of its speech as of `speech.Quality`, NaN where none was found.
    """
    names = corpus.clips()["clip"].tolist()
    tasks = [(corpus, names[i : i + PART]) for i in range(0, len(names), PART)]
    rows: list[dict[str, Any]] = []
    with progress.bar(None, "checking", total=len(names), unit="clip") as bar:
        for _, part in parallel.run(_measure_part, tasks, jobs=jobs):
            rows += part
            bar.update(len(part))
    return pd.DataFrame(rows).sort_values("clip", ignore_index=True)


def _measure_part(corpus: Corpus, clips: Sequence[str]) -> list[dict[str, Any]]:
    return [_measure_one(corpus, clip) for clip in clips]


def _measure_one(corpus: Corpus, clip: str) -> dict[str, Any]:
    row: dict[str, Any] = {"clip": clip, "problem": "", "digest": ""}
    row |= dict.fromkeys(QUALITIES, np.nan)
    try:
        samples = corpus.waveform(clip)
    except (AudioError, CorpusError) as error:
        return row | {"problem": str(error)}
    found = speech.Listener()
    for _ in found.pieces([samples]):
        pass
    row["digest"] = hashlib.sha256(pcm(samples)).hexdigest()
    if found.quality:
        row |= {name: getattr(found.quality, name) for name in QUALITIES}
    return row


def findings(
    clips: pd.DataFrame, measured: pd.DataFrame, embeddings: np.ndarray | None = None
) -> list[Finding]:
    """What there is to know of a table.

    clips : as of `Corpus.clips`. measured : as of `measure`. embeddings : of these clips, shape
    (n, d), for near-duplicates, if there are any.
    """
    rows = joined(clips, measured)
    found = [
        *_unusable(rows),
        *_duplicates(rows),
        *([_NOT_LOOKED] if embeddings is None else _near_duplicates(rows, embeddings)),
        *doubts(clips),
        *_speakers(rows),
        *_balance(rows),
        *(shortcut(rows, task) for task in ("emotion", "gender") if rows[task].nunique() >= 2),
    ]
    people = rows["speaker"].nunique()
    labelled = ", ".join(f"{task} of {rows[task].notna().sum():,}" for task in TASKS)
    minutes = rows["seconds"].sum() / 60
    words = (
        f"{len(rows):,} clips of {people} speakers, {minutes:.1f} minutes of speech; labelled are "
        f"{labelled}."
    )
    return [Finding("The table", words), *found]


def joined(clips: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Labels of clips beside what was measured; further columns of the table are left out."""
    return clips[["clip", *LABELS]].merge(measured, on="clip")


def _unusable(rows: pd.DataFrame) -> list[Finding]:
    bad, silent = rows[rows["problem"] != ""], rows[(rows["problem"] == "") & rows["level"].isna()]
    found = []
    if len(bad):
        words = f"{len(bad):,} files are missing or cannot be read."
        found.append(Finding("Files that cannot be used", words, tuple(bad["problem"]), True))
    if len(silent):
        words = f"In {len(silent):,} files no speech was found; they are embedded whole."
        found.append(Finding("Files without speech", words, tuple(silent["clip"])))
    return found


def _described(row: pd.Series) -> str:
    labels = [str(row[name]) for name in ("speaker", *TASKS) if pd.notna(row[name])]
    return f"{row['clip']} ({', '.join(labels)})"


def _duplicates(rows: pd.DataFrame) -> list[Finding]:
    again = rows[(rows["digest"] != "") & rows.duplicated("digest", keep=False)]
    named = ["speaker", *TASKS]
    alike: list[str] = []
    torn: list[str] = []
    for _, group in again.groupby("digest", sort=False):
        line = " = ".join(_described(row) for _, row in group.iterrows())
        (alike if len(group[named].drop_duplicates()) == 1 else torn).append(line)
    found = []
    if torn:
        words = f"{len(torn)} recordings stand under two labels: no network can get both right."
        found.append(Finding("One recording, two labels", words, tuple(torn), True))
    if alike:
        words = f"{len(alike)} recordings are there more than once: keep one of each."
        found.append(Finding("Copies", words, tuple(alike), True))
    return found


def _near_duplicates(rows: pd.DataFrame, embeddings: np.ndarray) -> list[Finding]:
    digest = rows["digest"].tolist()
    found = [
        f"{_described(rows.iloc[i])} ~ {_described(rows.iloc[j])}: {cosine:.4f}"
        for i, j, cosine in copies.pairs(embeddings, rows["speaker"].tolist())
        if digest[i] != digest[j]
    ]
    if not found:
        return []
    words = (
        f"{len(found)} pairs of files sound all but the same (cosine of embeddings above "
        f"{copies.OTHERS}, of one speaker {copies.OWN}): copies at another level or in another "
        "format, perhaps. Listen to them."
    )
    return [Finding("Near-duplicates", words, tuple(found))]


def _speakers(rows: pd.DataFrame) -> list[Finding]:
    found = []
    if (people := rows["speaker"].nunique()) < FOLDS:
        words = f"{people} speakers are too few to test on unseen ones: {FOLDS} are needed."
        found.append(Finding("Few speakers", words, wrong=True))
    each = rows.dropna(subset=["emotion"]).groupby("speaker")["emotion"].nunique()
    one = each[each == 1].index.astype(str)
    if len(one) and rows["emotion"].nunique() >= 2:
        words = (
            f"{len(one)} of {len(each)} speakers have one emotion only: who they are tells a "
            "network the label."
        )
        found.append(Finding("Speakers with one emotion", words, tuple(one)))
    spoken = rows.dropna(subset=["emotion"]).groupby("emotion")["speaker"].nunique()
    if len(rare := [f"{name}: {n}" for name, n in spoken.items() if n < FOLDS]):
        words = f"Some emotions are of fewer than {FOLDS} speakers: not every fold can test them."
        found.append(Finding("Emotions of few speakers", words, tuple(rare)))
    return found


def _balance(rows: pd.DataFrame) -> list[Finding]:
    found = []
    for name in ("speaker", "emotion", "gender"):
        counts = rows[name].value_counts()
        if len(counts) > 1 and counts.iloc[0] > 3 * counts.iloc[-1]:
            words = (
                f"{counts.index[0]} has {counts.iloc[0]} clips, {counts.index[-1]} has "
                f"{counts.iloc[-1]}: read recall by class, not accuracy."
            )
            found.append(Finding(f"Unequal by {name}", words))
    return found


def shortcut(rows: pd.DataFrame, task: str) -> Finding:
    """How well level, bandwidth, noise and length alone name a label of speakers not trained on.

    By linear discriminant analysis; mean recall of classes. Loudness may well belong to an
    emotion; bandwidth and noise do not.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    known = rows.dropna(subset=[task, *QUALITIES])
    title = f"Told by the recording alone: {task}"
    if known["speaker"].nunique() < FOLDS or known[task].nunique() < 2:
        return Finding(title, "Too few speakers or labels to say.")
    x, y = known[list(QUALITIES)].to_numpy(), known[task].to_numpy()
    splits = list(GroupKFold(FOLDS).split(x, y, known["speaker"]))
    if not all(1 < len(set(y[train])) < len(train) for train, _ in splits):
        return Finding(title, "Too few clips of a label to say.")
    recalls = {
        name: balanced_accuracy_score(
            y, cross_val_predict(LinearDiscriminantAnalysis(solver="lsqr"), part, y, cv=splits)
        )
        for name, part in [("together", x), *((q, x[:, [i]]) for i, q in enumerate(QUALITIES))]
    }  # fmt: skip
    each = ", ".join(f"{name} {value:.0%}" for name, value in recalls.items())
    guess = 1 / known[task].nunique()
    meant = (
        "What a network scores up to there may be no more than this."
        if max(recalls.values()) > guess
        else "By these alone it is not told."
    )
    words = f"Without a word being heard, mean recall is {each}; a guess has {guess:.0%}. {meant}"
    return Finding(title, words)


def page(title: str, found: Sequence[Finding], rows: pd.DataFrame) -> str:
    """One HTML page: the findings, with pictures of the table; nothing is loaded from elsewhere.

    rows : as of `joined`.
    """
    sections = "".join(
        f"<h2>{escape(one.title)}{' (put this right)' if one.wrong else ''}</h2>"
        f"<p>{escape(one.words)}</p>" + _listed(one.rows)
        for one in found
    )
    return document(title, f"{sections}<h2>Pictures</h2>{_pictures(rows)}")


def document(title: str, body: str) -> str:
    """One HTML page around a body; it loads nothing, and fits a phone."""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>body{{font:16px/1.5 system-ui;max-width:60rem;"
        "margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}img{width:29rem;max-width:100%}"
        "td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}</style>"
        f"<h1>{escape(title)}</h1>{body}"
    )


def _listed(rows: Sequence[str]) -> str:
    more = f"<li>and {len(rows) - _LISTED} more</li>" if len(rows) > _LISTED else ""
    items = "".join(f"<li>{escape(row)}</li>" for row in rows[:_LISTED])
    return f"<ul>{items}{more}</ul>" if rows else ""


def _pictures(rows: pd.DataFrame) -> str:
    """Four pictures beside each other, or below on a phone."""
    task = "emotion" if rows["emotion"].notna().any() else "gender"
    counts = rows[task].value_counts()[::-1]
    figure, axis = _panel(f"Clips by {task}")
    axis.barh([str(name) for name in counts.index], counts, color=BLUE)
    found = [_image(figure, f"Clips by {task}")]
    figure, axis = _panel("Speakers by number of clips")
    axis.hist(rows["speaker"].value_counts(), color=BLUE)
    axis.yaxis.get_major_locator().set_params(integer=True)
    found.append(_image(figure, "Speakers by number of clips"))
    for quality, unit in (("level", "dB of full scale"), ("bandwidth", "Hz")):
        groups = {
            str(name): rows.loc[rows[task] == name, quality].dropna() for name in counts.index
        }
        if shown := {name: values for name, values in groups.items() if len(values)}:
            title = f"{quality.capitalize()} of the speech by {task}, {unit}"
            figure, axis = _panel(title)
            axis.boxplot(list(shown.values()), orientation="horizontal")
            axis.set_yticks(range(1, len(shown) + 1), list(shown))
            found.append(_image(figure, title))
    return "".join(found)


def _panel(title: str) -> tuple[Any, Any]:
    figure, axes = subplots(1, 1, 5.5, 3.6)
    axes[0, 0].set_title(title)
    return figure, axes[0, 0]


def _image(figure: Any, words: str) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = b64encode(buffer.getvalue()).decode()
    return f"<img alt='{escape(words)}' src='data:image/png;base64,{data}'>"
