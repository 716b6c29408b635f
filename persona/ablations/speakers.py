"""Who is being recognised? The speaker behind the answers, and what age needs more of."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import corpora, evaluation, features, folds, predictions
from persona.ablations import SEEDS, Variant, in_processes, run, standardised, table
from persona.ablations._scores import DRAWS, clear, listed, planned, value
from persona.corpora import EMOTIONS, GENDERS
from persona.evaluation import Sums
from persona.folds import PROTOCOLS, Split
from persona.model import Prediction
from persona.provenance import software
from persona.tables import NAMES_SHOWN
from persona.training import Settings

REPRESENTATIONS = ("mfcc", "egemaps", "dvector")
NETWORK, INVENTED = "network", "network, invented ages and genders"
NEAREST, RECOGNISED = "age of the nearest speaker", "age of the recognised speaker"
KINDS = (NETWORK, INVENTED, NEAREST, RECOGNISED)
"""What answers. Invented labels tell nothing of unseen speakers: they are for random clips."""

SPEAKERS = (8, 16, 32, 64)
PER_SPEAKER = (10, 28, 80)
"""Learning curves: speakers in training, and clips of each."""


def variants(representations: Sequence[str] = REPRESENTATIONS) -> list[Variant]:
    """Every kind of answer on every representation."""
    kinds: dict[str, dict[str, Any]] = {
        NETWORK: {},
        INVENTED: {"relabel": invented},
        NEAREST: {"estimator": nearest},
        RECOGNISED: {"estimator": recognised},
    }
    return [
        Variant(f"{kind}, {representation}, {protocol}", representation, protocol=protocol, **how)
        for representation in representations
        for protocol in PROTOCOLS
        for kind, how in kinds.items()
        if kind != INVENTED or protocol == "random-clip"
    ]


def curve_variants(representation: str) -> list[Variant]:
    """The network for unseen speakers, with every number of training speakers and clips."""
    return [
        Variant(
            f"{speakers} x {clips}",
            representation,
            subset=partial(fewer, speakers=speakers, per_speaker=clips),
        )
        for speakers in SPEAKERS
        for clips in PER_SPEAKER
    ]


def study(representations: Sequence[str] = REPRESENTATIONS, seeds: Sequence[int] = SEEDS) -> str:
    """Name of the results table; "speakers" is shipped."""
    shipped = tuple(representations) == REPRESENTATIONS and tuple(seeds) == SEEDS
    return "speakers" if shipped else "-".join(["speakers", *representations, *map(str, seeds)])


def make(
    jobs: int | None = None,
    representations: Sequence[str] = REPRESENTATIONS,
    seeds: Sequence[int] = SEEDS,
    settings: Settings | None = None,
) -> None:
    """Train what is missing, four minutes on two cores."""
    name = study(representations, seeds)
    run(name, variants(representations), seeds, settings, jobs=jobs)
    curve = curve_variants(representations[-1])
    run(f"{name}_curve", curve, seeds, settings, jobs=jobs)
    _identify_all(f"{name}_identity", representations, seeds, jobs)


def invented(clips: pd.DataFrame) -> pd.DataFrame:
    """Clips whose speakers have exchanged their ages and genders at random.

    The labels still depend on the speaker, and on nothing in the voice but the speaker: what a
    network learns of them is who is speaking (a control task; Hewitt and Liang 2019).
    """
    rng = np.random.default_rng(91)
    people = clips.drop_duplicates("speaker").set_index("speaker")
    exchanged = {
        label: clips["speaker"].map(dict(zip(people.index, rng.permutation(people[label]))))  # noqa: B905
        for label in ("age", "gender")
    }
    return clips.assign(**exchanged)


def nearest(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Prediction:
    """Age and gender of the training speaker whose mean embedding is nearest by cosine."""
    inputs = standardised(embeddings, split.train)
    known, asked = inputs[split.train], inputs[split.test]
    people = clips["speaker"].to_numpy()[split.train]
    names, person = np.unique(people, return_inverse=True)
    centres = np.zeros((len(names), known.shape[1]))
    np.add.at(centres, person, known)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return _as_of(clips, names[(asked @ centres.T).argmax(axis=1)])


def recognised(embeddings: np.ndarray, clips: pd.DataFrame, split: Split, seed: int) -> Prediction:
    """Age and gender of the training speaker whom a linear discriminant analysis names."""
    return _as_of(clips, identify(embeddings, clips, split))


def identify(embeddings: np.ndarray, clips: pd.DataFrame, split: Split) -> np.ndarray:
    """Who of the training speakers each test clip sounds like, by linear discriminant analysis."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    # Shrunk, because a speaker has few clips and some dimensions never vary.
    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    inputs = standardised(embeddings, split.train)
    inputs = inputs[:, inputs[split.train].std(axis=0) > 0]
    probe.fit(inputs[split.train], clips["speaker"].to_numpy()[split.train])
    return probe.predict(inputs[split.test])


def _as_of(clips: pd.DataFrame, speakers: np.ndarray) -> Prediction:
    """Answer with what is known of these speakers; of emotion nothing is."""
    people = clips.drop_duplicates("speaker").set_index("speaker").loc[speakers]
    gender = np.stack([people["gender"] == name for name in GENDERS], axis=1)
    return Prediction(
        torch.full((len(people), len(EMOTIONS)), 1 / len(EMOTIONS)),
        torch.tensor(gender, dtype=torch.float32),
        torch.tensor(people["age"].to_numpy(np.float32)),
    )


def fewer(
    clips: pd.DataFrame, split: Split, seed: int, *, speakers: int, per_speaker: int
) -> Split:
    """The split with so many training speakers, half of each gender, and clips of each.

    Smaller choices are part of larger ones. Validation and test stay whole.
    """
    rng = np.random.default_rng(seed)
    shuffled = clips.iloc[rng.permutation(split.train)]
    people = shuffled.drop_duplicates("speaker")
    rank = people.groupby("gender").cumcount().to_numpy()
    chosen = people["speaker"].to_numpy()[np.argsort(rank, kind="stable")][:speakers]
    turn = shuffled.groupby("speaker").cumcount() < per_speaker
    kept = shuffled.index[shuffled["speaker"].isin(chosen) & turn]
    return Split(np.sort(clips.index.get_indexer(kept)), split.validation, split.test)


def _identify_all(
    name: str, representations: Sequence[str], seeds: Sequence[int], jobs: int | None
) -> None:
    """Write who was recognised: per representation, seed and speaker, out of how many clips."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    wanted = {
        "study": name,
        "seeds": list(seeds),
        "features": {r: features.read(r).identity() for r in representations},
    }
    out = table(name)
    found = predictions.provenance(out)
    if all(found.get(key) == value for key, value in wanted.items()):
        return
    tasks = [(_identify_one, r, seed) for r in representations for seed in seeds]
    frame = pd.concat(in_processes(name, tasks, jobs), ignore_index=True)
    metadata = json.dumps(wanted | {"software": software("scikit-learn", "numpy")})
    written = pa.Table.from_pandas(frame, preserve_index=False)
    parquet.write_table(written.replace_schema_metadata({"persona": metadata}), out)


def _identify_one(representation: str, seed: int) -> pd.DataFrame:
    clips = corpora.clips()
    embeddings = features.read(representation).at(clips["clip"])
    named = np.empty(len(clips), dtype=object)
    for split in folds.split(clips, "random-clip", seed):
        named[split.test] = identify(embeddings, clips, split)
    right = pd.DataFrame({"speaker": clips["speaker"], "right": named == clips["speaker"]})
    counts = right.groupby("speaker")["right"].agg(clips="size", recognised="sum").reset_index()
    return counts.assign(representation=representation, seed=seed)


def identity(
    representations: Sequence[str] = REPRESENTATIONS, seeds: Sequence[int] = SEEDS
) -> pd.DataFrame:
    """How often the speaker is recognised, per representation, with a 95 % interval over speakers.

    Columns `representation`, `recognised`, `low`, `high`, `chance` (fractions) and `speakers`.
    """
    counts = pd.read_parquet(table(f"{study(representations, seeds)}_identity"))
    rows = []
    for representation in representations:
        mine = counts[counts["representation"] == representation]
        people = mine.groupby("speaker")[["clips", "recognised"]].sum()
        drawn = evaluation.resample(len(people)) @ people.to_numpy(float)
        share = drawn[:, 1] / drawn[:, 0]
        rows.append(
            {
                "representation": representation,
                "recognised": people["recognised"].sum() / people["clips"].sum(),
                "low": np.quantile(share, 0.025),
                "high": np.quantile(share, 0.975),
                "chance": people["clips"].max() / people["clips"].sum(),
                "speakers": len(people),
            }
        )
    return pd.DataFrame(rows)


def compared(
    counts: Mapping[str, Sums], representations: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """Random clips - unseen speakers, the same network: a table as of `_scores.planned`."""
    pairs: dict[tuple[str, ...], tuple[str, str]] = {
        (name,): (f"{NETWORK}, {name}, random-clip", f"{NETWORK}, {name}, speaker-disjoint")
        for name in representations
    }
    return planned(counts, pairs, draws)


def in_short(
    counts: Mapping[str, Sums], known: pd.DataFrame, steps: pd.DataFrame, baseline: Sums
) -> str:
    """The chapter's closing sentence.

    known : of `identity`. steps : of `doublings`. baseline : ignores the voice.
    """
    names = list(known["representation"])

    def age(kind: str, name: str, protocol: str) -> float:
        return value(counts[f"{kind}, {name}, {protocol}"], "age_rmse")

    seen = min(names, key=lambda name: age(NETWORK, name, "random-clip"))
    unseen = min(age(NETWORK, name, "speaker-disjoint") for name in names)
    constant = value(baseline, "age_rmse")
    change = steps[steps["metric"] == "age_rmse"].set_index("change")
    by_speakers, by_clips, _ = change["difference"]
    gains = {"speakers": change.iloc[0], "clips of each speaker": change.iloc[1]}
    helpful = [more for more, row in gains.items() if clear(row) and row["difference"] < 0]
    true, invented_age = age(NETWORK, seen, "random-clip"), age(INVENTED, seen, "random-clip")
    # Within a fifth of the way from the true ages to knowing nothing.
    is_speaker = invented_age - true < 0.2 * (constant - true)
    what = "who is speaking, not how old they are" if is_speaker else "more than who is speaking"
    return (
        f"the paper's age column, as far as random clips explain it, measures {what}: on random "
        f"clips a network ({NAMES_SHOWN.get(seen, seen)}) misses true ages by {true:.1f} years "
        f"RMSE and ages dealt out to the speakers at random by {invented_age:.1f}; for speakers "
        f"never heard the best network misses by {unseen:.1f}, saying the mean to everyone by "
        f"{constant:.1f}; twice the speakers changes that by {by_speakers:+.2f} years, twice the "
        f"clips of each by {by_clips:+.2f} (helpful beyond chance: more {listed(helpful)})."
    )


def doublings(
    counts: Mapping[str, Sums], metrics: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """What doubling the speakers or the clips of each does, with 95 % intervals over speakers.

    A metric is regressed on the base-2 logarithms of both, over all points of the learning
    curves. Returns one row per metric and change: `twice the speakers` (as many clips of each),
    `twice the clips of each speaker`, and `twice the speakers, as many clips in all`.
    """
    names = [f"{speakers} x {clips}" for speakers in SPEAKERS for clips in PER_SPEAKER]
    design = np.array([[1, np.log2(s), np.log2(c)] for s in SPEAKERS for c in PER_SPEAKER])
    tested = len(counts[names[0]].speakers)
    weights = np.vstack([np.ones(tested), evaluation.resample(tested, draws)])
    values = [evaluation.metrics(counts[name], weights) for name in names]
    rows = []
    for metric in metrics:
        slopes = np.linalg.lstsq(design, np.array([v[metric] for v in values]), rcond=None)[0]
        changes = {
            "twice the speakers": slopes[1],
            "twice the clips of each speaker": slopes[2],
            "twice the speakers, as many clips in all": slopes[1] - slopes[2],
        }
        for change, effect in changes.items():
            low, high = np.quantile(effect[1:], [0.025, 0.975])
            tail = min((effect[1:] <= 0).sum(), (effect[1:] >= 0).sum())
            rows.append(
                {
                    "metric": metric, "change": change, "difference": effect[0],
                    "low": low, "high": high, "p": min(1, 2 * (tail + 1) / len(effect)),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.assign(p_holm=evaluation.holm(frame["p"]))
