"""Whose age is heard, and from whom it is learnt: CREMA-D's actors, or other people besides.

speechocean762 is dealt into folds of speakers like CREMA-D, so that networks that learnt from some
of its speakers are tested on the others.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from persona import corpora, evaluation, features, folds, paths, predictions, training
from persona.ablations import _speechocean, best, content, in_processes, keep, source, table
from persona.ablations._scores import value
from persona.evaluation import Sums
from persona.provenance import software

LEARNT = {"CREMA-D": False, "CREMA-D and speechocean762": True}
"""Whose ages networks learn: whether strangers' too."""

TESTED = ("CREMA-D", "speechocean762", "speechocean762, adults", "both corpora")

OTHERS = "CREMA-D and speechocean762 | speechocean762"
"""In the results: strangers' ages, by networks that learnt from other strangers too."""

SEEDS = best.SEEDS


def everyone() -> pd.DataFrame:
    """The clips of both corpora; columns clip, corpus, speaker, emotion, gender, age.

    speechocean762's emotions are not known: the column holds one that nothing looks at.
    """
    actors = corpora.clips().assign(corpus=TESTED[0])
    strangers = _speechocean.read()[0].assign(corpus=TESTED[1], emotion=corpora.EMOTIONS[0])
    both = pd.concat([actors, strangers], ignore_index=True)
    both["speaker"] = both["corpus"] + " " + both["speaker"].astype(str)
    return both[["clip", "corpus", "speaker", "emotion", "gender", "age"]]


def make(jobs: int | None = None) -> Path:
    """Train what is missing, minutes on two cores, and write the results table."""
    out, wanted = table("ages"), _made_by()
    if predictions.provenance(out).get("made_by") == wanted:
        return out
    tasks = [(_heard, learnt, seed, wanted) for learnt in LEARNT for seed in SEEDS]
    said = dict(zip(((t[1], t[2]) for t in tasks), in_processes("ages", tasks, jobs), strict=True))
    clips = everyone()
    counts = {
        f"{learnt} | {tested}": evaluation.sums(
            pd.concat([said[learnt, seed] for seed in SEEDS]).merge(part["clip"]), clips
        )
        for learnt in LEARNT
        for tested, part in _parts(clips).items()
    }
    evaluation.write_sums(out, counts, {"made_by": wanted, "software": software("torch", "numpy")})
    return out


def _made_by() -> dict[str, Any]:
    """What decides the results, in the form it has after a round trip through JSON."""
    parts = {
        "recipe": asdict(best.Recipe()),
        "source": [source(part) for part in (out_of_fold, best.rows, best.train)],
        "training_version": training.VERSION,
        "features": features.read(best.OURS).identity(),
        "strangers": content(_speechocean.NAME),
        "seeds": SEEDS,
    }
    return json.loads(json.dumps(parts))


def _parts(clips: pd.DataFrame) -> dict[str, pd.DataFrame]:
    actors = clips["corpus"] == TESTED[0]
    grown = clips["age"] >= _speechocean.ADULT
    return dict(
        zip(TESTED, (clips[actors], clips[~actors], clips[~actors & grown], clips), strict=True)
    )


def _heard(learnt: str, seed: int, made_by: dict[str, Any]) -> pd.DataFrame:
    """Out-of-fold predictions for the clips of both corpora, kept in `build/`."""
    file = paths.build() / "ablations" / "ages" / f"{learnt.replace(' ', '-')}-{seed}.parquet"
    if predictions.provenance(file) != made_by:
        actors = corpora.clips()
        data = best.rows(features.read(best.OURS).at(actors["clip"]), actors, others=True)
        keep(file, out_of_fold(data, everyone(), seed, strangers=LEARNT[learnt]), made_by)
    return pd.read_parquet(file)


def out_of_fold(
    data: best.Rows, clips: pd.DataFrame, seed: int, *, strangers: bool
) -> pd.DataFrame:
    """What networks say about speakers they did not learn from; columns `predictions.COLUMNS`.

    clips : as of `everyone`, row for row those of `data`. strangers : learn from the training
    folds of both corpora, not of CREMA-D alone.
    """
    corpus = clips["corpus"].to_numpy()
    own, other = (np.flatnonzero(corpus == name) for name in TESTED[:2])
    ours, theirs = (folds.split(clips.iloc[r], "speaker-disjoint", seed) for r in (own, other))
    parts = []
    for fold, (mine, foreign) in enumerate(zip(ours, theirs, strict=True)):
        learnt = [own[mine.train], own[mine.validation]]
        if strangers:
            learnt += [other[foreign.train], other[foreign.validation]]
        tested = np.concatenate([own[mine.test], other[foreign.test]])
        network = best.train(data, np.concatenate(learnt), [seed * 100 + fold], best.Recipe())
        (said,) = training.predict_each(network, data.embeddings, [tested])
        names = clips["clip"].to_numpy()[tested]
        parts.append(training.out_of_fold(said, names, seed, fold))
    return pd.concat(parts, ignore_index=True)[predictions.COLUMNS]


def correlations(counts: Mapping[str, Sums], draws: int = 1000) -> pd.DataFrame:
    """A row per corpus tested and learnt from, intervals over speakers.

    Columns: `r per clip`, `r per speaker` (of the mean over a speaker's clips and the seeds),
    `age RMSE, years`, `deviation of the ages, years` (what a constant would miss them by).
    """
    rows = {}
    for tested in TESTED:
        for learnt in LEARNT:
            one = counts[f"{learnt} | {tested}"]
            clips, people = evaluation.score(one, draws), evaluation.score(averaged(one), draws)
            n, age, _, squares = one.age[0, :, :4].sum(axis=0)
            rows[tested, learnt] = {
                "r per clip": _with_interval(clips, "age_r", 2),
                "r per speaker": _with_interval(people, "age_r", 2),
                "age RMSE, years": _with_interval(clips, "age_rmse", 1),
                "deviation of the ages, years": f"{np.sqrt(squares / n - (age / n) ** 2):.1f}",
            }
    return pd.DataFrame(rows).T.rename_axis(["tested on", "learnt from"])


def in_short(counts: Mapping[str, Sums]) -> str:
    """A closing sentence on ages, from the results."""
    alone, both = (f"{learnt} | " for learnt in LEARNT)
    per_speaker = {
        tested: float(evaluation.score(averaged(counts[both + tested]))["value"]["age_r"])
        for tested in (TESTED[0], TESTED[3])
    }
    error = {
        (learnt, tested): value(counts[learnt + tested], "age_rmse")
        for learnt in (alone, both)
        for tested in TESTED[:2]
    }
    return (
        f"Learning from {_speechocean.SPEAKERS} other people's ages takes the error for people "
        f"like them from {error[alone, TESTED[1]]:.1f} to {error[both, TESTED[1]]:.1f} years and "
        f"for CREMA-D's actors from {error[alone, TESTED[0]]:.1f} to "
        f"{error[both, TESTED[0]]:.1f}; said and true age then correlate by "
        f"{per_speaker[TESTED[0]]:.2f} over CREMA-D's speakers and by {per_speaker[TESTED[3]]:.2f} "
        "over all."
    )


def averaged(counts: Sums) -> Sums:
    """The same speakers, each heard once: what is said is the mean over clips and seeds."""
    n, age, said = np.moveaxis(counts.age[..., :3], -1, 0)
    t, p = (age / n).mean(axis=0), (said / n).mean(axis=0)
    moments = np.stack([np.ones_like(t), t, p, t * t, p * p, t * p, abs(p - t)], axis=-1)
    return replace(counts, age=np.broadcast_to(moments, (len(counts.age), *moments.shape)))


def _with_interval(scores: pd.DataFrame, metric: str, digits: int) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in scores.loc[metric])
    return f"{value} [{low}, {high}]"
