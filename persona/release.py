"""Train the model that ships on all of CREMA-D, measure it on unseen speakers, write its card.

What the card says of the ensemble comes from out-of-fold predictions: every clip is heard by one
network per seed that was not trained on its speaker, and these are averaged, as the networks that
ship are.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from persona import corpora, evaluation, features, folds, paths, predictions, representations
from persona.predictions import PROBABILITIES, Configuration
from persona.predictor import Predictor
from persona.provenance import software

if TYPE_CHECKING:
    from persona.model import Network
    from persona.training import Settings

SEEDS = 5
LEVEL = 0.8
AGE_BANDS = ((0, 29), (30, 44), (45, 59), (60, 120))

INTENDED = (
    "Studying, teaching and demonstrating what a network hears in acted speech.",
    "Comparing methods on CREMA-D, as a starting point for models of other voices.",
)
REFUSED = (
    "Decisions about people: hiring, insurance, credit, policing, border control, schooling.",
    "Watching or rating people at work or in class; inferring emotion there is unlawful in the EU.",
    "Medical or psychological assessment, detection of lies, or any claim on what someone feels.",
    "Telling who someone is, or what gender someone is: it hears which of two groups of actors a "
    "voice resembles.",
    "Checking whether someone is of age.",
)


def out_folder(tables: Sequence[str] = ()) -> Path:
    """Where a model of these feature tables goes unless said otherwise; without any, the default.

    Both are in the data folder.
    """
    return paths.data() / "models" / ("+".join(tables) or "default")


def train(
    tables: Sequence[str],
    out: Path,
    *,
    architecture: str = "fcn",
    recipe: str = "balanced",
    seeds: int = SEEDS,
    settings: "Settings | None" = None,
) -> Predictor:
    """Cross-validate by speaker, train an ensemble on every clip, and save both to `out`.

    Parameters
    ----------
    tables : names of feature tables whose vectors are joined.
    out : folder of the model. Predictions on unseen speakers go to the build folder and are
        kept if a run is repeated.
    seeds : networks in the ensemble, seeded 0, 1, ...
    settings : of the cross-validation. The final networks train for the median of its best
        epochs, on all clips, without early stopping.

    Raises `FeatureError` for a missing table and `PersonaError` for one made otherwise.
    """
    import torch

    from persona import training

    settings = settings or training.Settings()
    configuration = Configuration("+".join(tables), architecture, "speaker-disjoint", recipe)
    held_out = paths.build() / "cross-validation"
    training.cross_validate([configuration], held_out, range(seeds), settings)

    clips = corpora.clips()
    said = ensemble(predictions.read([configuration], held_out))
    history = training.read_history(configuration, held_out)
    epochs = round(history[history["best"]].groupby(["seed", "fold"])["epoch"].first().median())
    embeddings = torch.from_numpy(features.read(configuration.representation).at(clips["clip"]))
    nobody = np.empty(0, int)
    fits = [training.Fit(np.arange(len(clips)), nobody, seed, recipe) for seed in range(seeds)]
    network, _ = training.fit(
        embeddings,
        training.Targets.of(clips),
        fits,
        architecture,
        replace(settings, epochs=epochs),
        progress="training on every clip",
    )
    how = {"recipe": recipe, **asdict(settings), "epochs": epochs, "early_stopping": 0}
    return _save(out, network, tables, how, describe(said, clips))


def train_default(out: Path) -> Predictor:
    """Train the model that ships: the last of the chapter "As good as it gets", on every clip.

    Its card is written from that chapter's out-of-fold predictions, each an average of as many
    networks as ship, whose settings were chosen on training speakers. Takes some minutes.
    """
    from persona.ablations import ages, best, heard, results

    shipped = best.LADDER[-1]
    said = heard("best", shipped, best.SEEDS)
    clips, everyone = corpora.clips(), ages.everyone()
    others = everyone[everyone["corpus"] != "CREMA-D"]
    error = evaluation.score(results("ages")[ages.OTHERS])["value"]["age_rmse"]
    people = (
        f"{others['speaker'].nunique()} native speakers of Mandarin, {others['age'].min()} to "
        f"{others['age'].max()} years old"
    )
    besides = (
        "a copy of every clip in noise, among voices, by telephone, as MP3, cut short, or louder "
        "or softer",
        f"ages and genders of {people}, reading English: speechocean762 (Zhang et al. 2021), "
        "CC BY 4.0",
    )
    limits = (
        "Felt emotions and other languages were not heard; noise, telephones and compression only "
        "as a computer adds them.",
        f"Age was learnt from actors of {clips['age'].min()} to {clips['age'].max()} years and "
        f"from {people}; for those of the latter who were not heard the error was {error:.1f} "
        "years. Older people were not heard.",
    )
    network, recipe = best.train_best()
    described = describe(said, clips, besides, limits)
    return _save(out, network, best.TABLES, asdict(recipe), described)


def _save(
    out: Path,
    network: "Network",
    tables: Sequence[str],
    settings: dict[str, Any],
    described: dict[str, Any],
) -> Predictor:
    heard_through = [representations.restore(features.read(t).provenance) for t in tables]
    card = {
        "name": "PERSONA: emotion, gender and age from a voice",
        "representations": [r.provenance() for r in heard_through],
        "network": {
            "dimension": network.mean.shape[-1],
            "architecture": "cnn" if network.convolutions else "fcn",
            "seeds": list(range(network.models)),
            "age_head": network.age_head,
            "hidden": network.widths,
        },
        "training": settings,
        **described,
        "software": software("torch", "numpy", "librosa", "resemblyzer"),
    }
    predictor = Predictor(network, heard_through, card)
    predictor.save(out)
    return predictor


def ensemble(predictions: pd.DataFrame) -> pd.DataFrame:
    """Average the seeds' out-of-fold predictions of every clip; `fold` is the first seed's."""
    means = predictions.groupby("clip", as_index=False)[[*PROBABILITIES, "p_female", "age"]].mean()
    first = predictions[predictions["seed"] == predictions["seed"].min()]
    return means.assign(seed=0).merge(first[["clip", "fold"]], on="clip")


def describe(
    said: pd.DataFrame,
    clips: pd.DataFrame,
    besides: Sequence[str] = (),
    limits: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """The parts of a card that follow from out-of-fold predictions of an ensemble.

    said : for one seed of folds or several; metrics are averaged over them, the age interval
        comes from the first.
    besides : what was learnt from beside `clips`.
    limits : what was not heard, and of whom age was learnt; None: of `clips` alone.
    """
    first = said[said["seed"] == said["seed"].min()]
    rows = first.merge(clips[["clip", "speaker", "gender", "age"]], on="clip", suffixes=("", "_is"))
    residuals = (rows["age"] - rows["age_is"]).abs().to_numpy()
    metrics = _metrics(said, clips)
    ignorant = evaluation.constant(clips, "speaker-disjoint", sorted(said["seed"].unique()))
    constant = evaluation.evaluate(ignorant, clips)
    gain = evaluation.difference(evaluation.sums(said, clips), evaluation.sums(ignorant, clips))
    ages, hours = clips["age"], clips["seconds"].sum() / 3600
    interval = {
        "level": LEVEL,
        "half_width": _rounded(half_width(residuals, rows["speaker"].to_numpy(), LEVEL)),
        "method": "split-conformal over speakers (Lee, Barber and Willett 2023) from "
        "out-of-fold residuals; the lower limit is 0 where it would be below",
        **coverage(residuals, rows),
    }
    return {
        "data": {
            "corpus": "CREMA-D (Cao et al. 2014), policy clean",
            "corpus_sha256": corpora.corpus_hash(),
            "licence": "Open Database License 1.0",
            "clips": len(clips),
            "speakers": int(clips["speaker"].nunique()),
            "hours": round(hours, 2),
            "ages": [int(ages.min()), int(ages.max())],
            "language": "English",
            "besides": list(besides),
        },
        "evaluation": {
            "protocol": f"speaker-disjoint, {folds.FOLDS} folds; out-of-fold predictions, "
            "averaged over as many networks as ship; 95 % bootstrap intervals over speakers",
            "metrics": metrics,
            "groups": {
                name: {"speakers": int(group["speaker"].nunique()), **_metrics(said, group)}
                for name, group in _groups(clips)
            },
            "constant": {name: _rounded(value) for name, value in constant["value"].items()},
        },
        "age_interval": interval,
        "limits": _limits(metrics, constant, gain, interval, clips, limits),
        "uses": {"intended": list(INTENDED), "refused": list(REFUSED)},
    }


def half_width(residuals: np.ndarray, speakers: np.ndarray, level: float) -> float:
    """Half the width of an age interval that holds for a share `level` of clips of new speakers.

    residuals : |said - true| in years of clips by `speakers`, both of shape (n,).

    Each of K speakers has the weight 1 / (K + 1), shared by the clips, and 1 / (K + 1) is kept for
    a residual that nobody has shown: hierarchical conformal prediction (Lee, Barber and Willett
    2023, "Distribution-free inference with hierarchical data"). Infinite for too few speakers.
    """
    _, speaker, clips = np.unique(speakers, return_inverse=True, return_counts=True)
    weights = 1 / clips[speaker] / (len(clips) + 1)
    order = np.argsort(residuals)
    enough = np.cumsum(weights[order]) >= level - 1e-9
    return float(residuals[order][enough.argmax()]) if enough.any() else float("inf")


def coverage(residuals: np.ndarray, rows: pd.DataFrame) -> dict[str, Any]:
    """Share of clips inside an interval calibrated on the other folds' speakers.

    rows : columns `fold`, `speaker`, `gender`, `age_is`. Speakers count alike, whatever their
    number of clips; the interval is a 95 % bootstrap over speakers.
    """
    speakers, inside = rows["speaker"].to_numpy(), np.zeros(len(rows), bool)
    for fold in rows["fold"].unique():
        tested = (rows["fold"] == fold).to_numpy()
        width = half_width(residuals[~tested], speakers[~tested], LEVEL)
        inside[tested] = residuals[tested] <= width
    per_speaker = pd.Series(inside).groupby(speakers).mean().to_numpy()
    weights = evaluation.resample(len(per_speaker))
    drawn = weights @ per_speaker / weights.sum(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    by_group = {}
    for name, group in _groups(rows.assign(age=rows["age_is"])):
        own = pd.Series(inside[group.index]).groupby(speakers[group.index]).mean()
        by_group[name] = _rounded(own.mean())
    achieved = {"value": per_speaker.mean(), "low": low, "high": high}
    return {
        "coverage": {name: _rounded(value) for name, value in achieved.items()},
        "coverage_of_groups": by_group,
    }


def _groups(clips: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = [(gender, clips[clips["gender"] == gender]) for gender in corpora.GENDERS]
    for low, high in AGE_BANDS:
        name = f"aged {low} or over" if high == AGE_BANDS[-1][1] else f"aged {low} to {high}"
        name = f"aged {high} or under" if low == 0 else name
        groups.append((name, clips[clips["age"].between(low, high)]))
    return [(name, group) for name, group in groups if len(group)]


def _metrics(said: pd.DataFrame, clips: pd.DataFrame) -> dict[str, dict[str, float]]:
    scored = evaluation.evaluate(said[said["clip"].isin(clips["clip"])], clips)
    return {
        metric: {bound: _rounded(scored[bound][metric]) for bound in ("value", "low", "high")}
        for metric in evaluation.METRICS
    }


def _limits(
    metrics: dict[str, dict[str, float]],
    constant: pd.DataFrame,
    gain: pd.DataFrame,
    interval: dict[str, Any],
    clips: pd.DataFrame,
    limits: tuple[str, str] | None,
) -> list[str]:
    age, anyone = metrics["age_rmse"], constant["value"]["age_rmse"]
    of_groups = interval["coverage_of_groups"]
    worst = min(of_groups, key=of_groups.get)
    worth = "better than" if gain["high"]["age_rmse"] < 0 else "no better than"
    unheard, ages = limits or (
        "Felt emotions, other languages, noise and telephones were not heard.",
        f"The actors were {clips['age'].min()} to {clips['age'].max()} years old; children and "
        "older people were not heard.",
    )
    return [
        f"Emotions are acted: {clips['speaker'].nunique()} actors say twelve sentences in English "
        f"in a quiet room. {unheard}",
        f"Of six emotions it names the one an unseen actor played in "
        f"{metrics['emotion_accuracy']['value']:.0%} of clips.",
        f"Age is {worth} saying the mean age to everyone: the error is {age['value']:.1f} years "
        f"(RMSE) against {anyone:.1f}.",
        f"The age interval holds for {interval['coverage']['value']:.0%} of clips overall, but for "
        f"{of_groups[worst]:.0%} of those of actors {worst}.",
        ages,
        "Gender is the binary sex that the actors stated; people outside of it were not heard.",
        "Probabilities and age intervals were measured on acted clips; elsewhere they mean less.",
    ]


def _rounded(value: float) -> float:
    return round(float(value), 4)
