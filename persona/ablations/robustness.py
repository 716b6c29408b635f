"""Outside the studio: degraded clips, a corpus never heard, and augmentation as the remedy.

Networks are trained on CREMA-D's clean clips, or on those and one degraded copy of each, and
tested on degraded copies of clips of speakers they were not trained on, and on EmoDB. Some are the
study's network, others are trained as the app's model is (`best.train`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import corpora, evaluation, features, folds, paths, predictions, tables, training
from persona.ablations import _emodb, _speechocean, _told, best, in_processes
from persona.ablations._copies import (
    CONDITIONS,
    Copy,
    embed,
    label,
    read_tables,
    test_copies,
    training_copies,
    with_copies,
    work,
)
from persona.ablations._scores import DRAWS, clear, planned, scores, value
from persona.evaluation import Sums
from persona.features import FeatureTable
from persona.folds import Split
from persona.model import Network
from persona.provenance import software
from persona.training import Fit, Settings, Targets

SEEDS = (0, 1, 2)
PARTS = ("mfcc", "dvector")
"""Feature tables of the study's networks; eGeMAPS takes five times as long as both together."""

TRAINED = {
    "clean": "study's network, clean clips",
    "unlimited": "study's network, clean clips, inputs not limited",
    "augmented": "study's network, clean and degraded clips",
    "app": "app's recipe, clean and degraded clips",
    "app clean": "app's recipe, clean clips",
    "app no babble": "app's recipe, clean and degraded clips, none in babble",
}
"""The networks of the degraded tests, and what they are and were trained on."""

TELLING = (("telephone", 0), ("babble", 5), ("mp3", 32), ("short", 1))
"""Conditions that the closing sentence names."""


def heard_through(network: str) -> tuple[str, ...]:
    """Feature tables that a network of `TRAINED` is trained on, joined."""
    return best.TABLES if network.startswith("app") else PARTS


def splits(seeds: Sequence[int] = SEEDS) -> list[Split]:
    """Speaker-disjoint folds of every seed, in the order of the networks in a stack."""
    clips = corpora.clips()
    return [split for seed in seeds for split in folds.split(clips, "speaker-disjoint", seed)]


def _numbers(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """Seed and fold of every one of `splits`."""
    return [(seed, fold) for seed in seeds for fold in range(folds.FOLDS)]


def trained(
    representation: str,
    copies: Sequence[Copy] = (),
    seeds: Sequence[int] = SEEDS,
    settings: Settings | None = None,
) -> Network:
    """The study's networks for every one of `splits`, in a stack.

    representation : feature table of the clean clips.
    copies : one per clip, as of `training_copies`, to train on besides ("augmented_" tables);
        empty for the clean clips alone.
    """
    clips = corpora.clips()
    embeddings, targets = features.read(representation).at(clips["clip"]), Targets.of(clips)
    rows = [(split.train, split.validation) for split in splits(seeds)]
    if copies:
        names = "+".join(f"augmented_{part}" for part in representation.split("+"))
        embeddings = np.concatenate([embeddings, features.read(names).at(clips["clip"])])
        targets = Targets(*(torch.cat([labels, labels]) for labels in targets))
        rows = [
            (with_copies(train, clips, copies), with_copies(validation, clips, copies))
            for train, validation in rows
        ]
    fits = [
        Fit(train, validation, seed * folds.FOLDS + fold)
        for (train, validation), (seed, fold) in zip(rows, _numbers(seeds), strict=True)
    ]
    network, _ = training.fit(torch.from_numpy(embeddings), targets, fits, "fcn", settings)
    return network


def trained_as_the_app(
    *, degraded: bool = True, unseen: str = "", jobs: int | None = None
) -> Network:
    """One network of `best.train` for every one of `splits()`, in a stack.

    They learn from what the app's do, other people included. Nothing is stopped early, so each
    learns from its training and validation speakers alike.

    degraded : whether they learn from degraded copies besides.
    unseen : a kind of degradation whose copies are left out.
    """
    tasks = [(_app_networks, degraded, unseen, seed) for seed in SEEDS]
    found = in_processes("as the app", tasks, jobs)
    return stacked([network for five in found for network in five])


def _app_networks(degraded: bool, unseen: str, seed: int) -> list[Network]:
    clips = corpora.clips()
    embeddings = features.read("+".join(best.TABLES)).at(clips["clip"])
    data = best.rows(embeddings, clips, degraded=degraded, others=True)
    kinds = np.full(len(data.embeddings), "none", dtype=object)
    kinds[len(clips) : len(clips) + len(data.copies)] = [copy.kind for copy in data.copies]
    networks = []
    for (_, fold), split in zip(_numbers([seed]), splits([seed]), strict=True):
        chosen = data.learnable(np.concatenate([split.train, split.validation]))
        chosen = chosen[kinds[chosen] != unseen]
        networks.append(best.train(data, chosen, [seed * folds.FOLDS + fold], best.Recipe()))
    return networks


def stacked(networks: Sequence[Network]) -> Network:
    """Networks of one shape, side by side."""
    first, seeds = networks[0], range(len(networks))
    together = Network(first.mean.shape[-1], "fcn", seeds, first.age_head, first.widths)
    states = [network.state_dict() for network in networks]
    together.load_state_dict({name: torch.cat([s[name] for s in states]) for name in states[0]})
    return together.eval()


def unlimited(network: Network) -> Network:
    """The same networks without the limit on their standardised inputs.

    Some columns of a d-vector are 0 for nearly all clean clips; next to so little spread, what
    noise puts there is hundreds of deviations away, and no network has learnt what that means.
    """
    copy = deepcopy(network)
    copy.limit.fill_(torch.inf)
    return copy


def tested(
    network: Network, table: FeatureTable, condition: str, seeds: Sequence[int] = SEEDS
) -> Sums:
    """Sums over the copies called "CLIP CONDITION", each judged by networks that never heard it.

    network : a stack for `splits(seeds)`; each network is asked about the test speakers of its
        split, though only some of their clips are in the table.
    """
    clips = corpora.clips()
    names = pd.Series(table.clips).str.partition(" ")
    here = set(names.loc[names[2] == condition, 0])
    tests = [split.test for split in splits(seeds)]
    rows = [test[clips["clip"].iloc[test].isin(here)] for test in tests]
    known = clips[clips["clip"].isin(here)]
    place = pd.Series(range(len(known)), index=known.index)
    embeddings = torch.from_numpy(table.at(known["clip"] + f" {condition}"))
    said = training.predict_each(network, embeddings, [place[r].to_numpy() for r in rows])
    parts = [
        training.out_of_fold(p, clips["clip"].to_numpy()[r], seed, fold)
        for p, r, (seed, fold) in zip(said, rows, _numbers(seeds), strict=True)
    ]
    return evaluation.sums(pd.concat(parts, ignore_index=True), clips)


def clips_tested() -> pd.DataFrame:
    """The clips that are degraded: about two per speaker and emotion."""
    chosen = pd.read_csv(paths.data() / "results" / "robustness_clips.csv")["clip"]
    clips = corpora.clips()
    return clips[clips["clip"].isin(set(chosen))].reset_index(drop=True)


def results_file() -> Path:
    """Sums of every network and condition, named "NETWORK | CONDITION"."""
    return paths.data() / "results" / "robustness.parquet"


def make(jobs: int | None = None, source: Path | None = None, emodb: Path | None = None) -> None:
    """Compute both tables: minutes for the copies' audio and features, minutes for training.

    source, emodb : folders of the audio, by default `audio/crema-d` and `audio/emodb` in the
        data folder. Where one is missing, its shipped results are kept and that is said.
    """
    source = source or corpora.default_folder()
    emodb = emodb or paths.data() / "audio" / "emodb"
    made_by = _made_by()
    files = [results_file(), *([_emodb.results_file()] if emodb.is_dir() else [])]
    if all(predictions.provenance(file).get("made_by") == made_by for file in files):
        return
    if not source.is_dir():
        print(f"robustness: no audio in {source}, the shipped results are kept.")
        return
    every, wanted = corpora.clips(), test_copies(clips_tested())
    degraded = {part: work() / f"degraded_{part}.parquet" for part in (*PARTS, *best.TABLES)}
    embed({copy.name: copy for copy in wanted}, source, degraded, jobs)
    copies = training_copies(every)
    embed(
        dict(zip(every["clip"], copies, strict=True)), source,
        {part: features.path(f"augmented_{part}") for part in degraded}, jobs,
    )  # fmt: skip
    provenance = {"made_by": _made_by(), "software": software("torch", "numpy", "soundfile")}
    networks = _networks(copies, jobs)
    counts = {}
    for name, network in networks.items():
        table = read_tables(degraded[part] for part in heard_through(name))
        for condition in (label(*condition) for condition in CONDITIONS):
            counts[f"{name} | {condition}"] = tested(network, table, condition)
    evaluation.write_sums(results_file(), counts, provenance)
    if not emodb.is_dir():
        print(f"robustness: no EmoDB in {emodb}, the shipped results are kept.")
        return
    heard = {name: (network, heard_through(name)) for name, network in networks.items()}
    more = (*PARTS, "egemaps")
    heard["egemaps"] = (trained("+".join(more)), more)
    evaluation.write_sums(_emodb.results_file(), _emodb.tested_on(heard, emodb, jobs), provenance)


def _networks(copies: Sequence[Copy], jobs: int | None) -> dict[str, Network]:
    """The networks of `TRAINED`."""
    clean = trained("+".join(PARTS))
    return {
        "clean": clean,
        "unlimited": unlimited(clean),
        "augmented": trained("+".join(PARTS), copies),
        "app": trained_as_the_app(jobs=jobs),
        "app clean": trained_as_the_app(degraded=False, jobs=jobs),
        "app no babble": trained_as_the_app(unseen="babble", jobs=jobs),
    }


def _made_by() -> dict[str, Any]:
    """What decides the results, in the form it has after a round trip through JSON."""
    parts = (*PARTS, *best.TABLES)
    names = [*parts, *(f"augmented_{part}" for part in parts)]
    made_by = {
        "networks": [*TRAINED, *_emodb.NETWORKS],
        "conditions": [label(*condition) for condition in CONDITIONS],
        "clips": hashlib.sha256("".join(clips_tested()["clip"]).encode()).hexdigest(),
        "features": {n: features.read(n).identity() for n in names if features.available(n)},
        "training_version": training.VERSION,
        "app": {
            **asdict(best.Recipe()),
            "rows": _told(best.rows),
            "train": _told(best.train),
            "others": hashlib.sha256(_speechocean.path().read_bytes()).hexdigest(),
        },
        "seeds": SEEDS,
    }
    return json.loads(json.dumps(made_by))


def measured(counts: Mapping[str, Sums], networks: Sequence[str]) -> pd.DataFrame:
    """Every condition's measures: `condition`, `trained`, `metric`, `value`, `low`, `high`.

    networks : keys of `TRAINED`.
    """
    rows = []
    for condition in map(lambda c: label(*c), CONDITIONS):
        for network in networks:
            found = evaluation.score(counts[f"{network} | {condition}"])
            for metric in tables.MEASURES:
                rows.append([condition, TRAINED[network], metric, *found.loc[metric]])
    columns = ["condition", "trained", "metric", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def fared(counts: Mapping[str, Sums], network: str, cost: pd.DataFrame) -> pd.DataFrame:
    """Measures with intervals, a row per condition; "*" where `cost`, of `costs`, is `clear`."""
    names = [label(*condition) for condition in CONDITIONS]
    table = scores({name: counts[f"{network} | {name}"] for name in names})
    for name, heading in cost.index[cost["p_holm"] < 0.05]:
        table.loc[name, heading] += "*"
    return table.rename_axis("condition")


def costs(counts: Mapping[str, Sums], network: str = "app", draws: int = DRAWS) -> pd.DataFrame:
    """Every condition minus the clips as recorded, for the same networks; see `planned`."""
    recorded, *others = (label(*condition) for condition in CONDITIONS)
    pairs: dict[tuple[str, ...], tuple[str, str]] = {
        (other,): (f"{network} | {other}", f"{network} | {recorded}") for other in others
    }
    return planned(counts, pairs, draws).rename_axis(["condition", "measure"])


def gains(
    counts: Mapping[str, Sums],
    network: str = "app",
    against: str = "app clean",
    kinds: Sequence[str] = (),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Networks minus others under the same condition; see `planned`.

    kinds : of degradation, all of them if empty.
    """
    names = [label(kind, amount) for kind, amount in CONDITIONS if not kinds or kind in kinds]
    pairs: dict[tuple[str, ...], tuple[str, str]] = {
        (name,): (f"{network} | {name}", f"{against} | {name}") for name in names
    }
    return planned(counts, pairs, draws).rename_axis(["condition", "measure"])


def in_short(
    counts: Mapping[str, Sums], gain: pd.DataFrame, german: Mapping[str, Sums], network: str = "app"
) -> str:
    """The chapter's closing sentence; `gain`, of `gains`, is what degraded copies give."""
    names = ["as recorded", *(label(*condition) for condition in TELLING)]
    named = {n: 100 * value(counts[f"{network} | {n}"], "emotion_accuracy") for n in names}
    won = gain.xs("emotion %", level="measure").T
    clean, degraded = won["as recorded"], won.drop(columns="as recorded").T
    told = degraded["difference"][degraded["p_holm"] < 0.05]
    recall = {
        name: 100 * value(german[name], "emotion_uar")
        for name in (network, network + _emodb.ADAPTED)
    }
    hardest = ", ".join(f"{named[n]:.0f} % ({n})" for n in names[1:])
    better, worse = (str(number or "none") for number in ((told > 0).sum(), (told < 0).sum()))
    return (
        f"the {TRAINED[network].split(',')[0]} names {named['as recorded']:.0f} % of emotions as "
        f"recorded, and {hardest}; degraded copies in training help beyond chance under "
        f"{better} of {len(degraded)} degradations ({names[2]}: "
        f"{won[names[2]]['difference']:+.0f} points) and harm under {worse}; as recorded they "
        f"change {clean['difference']:+.1f} points, {'beyond' if clear(clean) else 'within'} "
        f"chance; on German, its mean recall is {recall[network]:.0f} %, and "
        f"{recall[network + _emodb.ADAPTED]:.0f} % with input standardised there."
    )
