"""The main study: the grid of networks that the book trains, and what it says about the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from persona import evaluation, features, paths, predictions, tables, training
from persona.evaluation import METRICS, Sums
from persona.folds import PROTOCOLS
from persona.predictions import Configuration
from persona.representations import NAMES
from persona.tables import CONSTANT, MEASURES, NAMES_SHOWN


@dataclass(frozen=True)
class Grid:
    """Every combination of the four parts, trained with some seeds; predictions in `folder`."""

    representations: tuple[str, ...]
    architectures: tuple[str, ...]
    protocols: tuple[str, ...]
    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: training.Settings
    folder: Path

    @cached_property
    def configurations(self) -> list[Configuration]:
        return predictions.grid(
            self.representations, self.architectures, self.protocols, self.recipes
        )

    def train(self) -> None:
        """Train what is not yet trained this way, with progress; resumes where it was killed."""
        training.cross_validate(self.configurations, self.folder, self.seeds, self.settings)

    def results(self, clips: pd.DataFrame) -> dict[str, Sums]:
        """Sums of every configuration (by `str`) and of the constant predictor."""
        sums = {
            str(configuration): evaluation.sums(
                predictions.read([configuration], self.folder), clips
            )
            for configuration in self.configurations
        }
        return sums | tables.constants(self.seeds)

    def description(self) -> str:
        """What was trained, in a sentence."""
        folds = 5 * len(self.seeds) * len(self.configurations)
        return (
            f"{len(self.configurations)} configurations, {len(self.seeds)} seeds, 5 folds: "
            f"{folds:,} networks of at most {self.settings.epochs} epochs, on "
            f"{', '.join(NAMES_SHOWN[name] for name in self.representations)}."
        )

    def ship(self, clips: pd.DataFrame) -> None:
        """Make this grid's results the ones the repository ships, with what made them."""
        made_by = {
            str(configuration): predictions.provenance(configuration.file(self.folder))
            for configuration in self.configurations
        }
        evaluation.write_sums(tables.results_file(), self.results(clips), made_by)


def grid(
    representations: Sequence[str] | None = None,
    architectures: Sequence[str] = ("fcn", "cnn"),
    protocols: Sequence[str] = PROTOCOLS,
    recipes: Sequence[str] = training.RECIPES,
    epochs: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    quick: bool = False,
) -> Grid:
    """The grid a notebook's parameters describe.

    representations : None takes every one that has a feature table here. quick : one
        representation, one seed and a few updates, to see in seconds that everything runs.
    """
    names = representations or [name for name in NAMES if features.available(name)]
    settings = training.Settings(epochs=epochs)
    folder = predictions.default_folder()
    if quick:
        names, seeds = names[:1], seeds[:1]
        settings, folder = training.Settings(epochs=2, steps=10), paths.build() / "quick"
    return Grid(
        tuple(names), tuple(architectures), tuple(protocols), tuple(recipes), tuple(seeds),
        settings, folder,
    )  # fmt: skip


def metrics_table(results: Mapping[str, Sums], task: str) -> pd.DataFrame:
    """The three metrics of a task for every configuration, with intervals; fractions or years."""
    wanted = [metric for metric in METRICS if metric.startswith(task)]
    rows = {}
    for key, counts in results.items():
        scores = evaluation.score(counts)
        rows[key] = {
            metric: "{:.3f} [{:.3f}, {:.3f}]".format(*scores.loc[metric]) for metric in wanted
        }
    return pd.DataFrame(rows).T.rename_axis("configuration")


def differences(
    results: Mapping[str, Sums], pairs: Mapping[tuple[str, ...], tuple[str, str]]
) -> pd.DataFrame:
    """Paired differences of the paper's three measures, Holm-corrected over all rows.

    pairs : row label to the two configurations (as `str`) whose difference is wanted; pairs that
    have no results are left out.
    """
    rows = {}
    for label, (first, second) in pairs.items():
        if first not in results or second not in results:
            continue
        paired = evaluation.difference(results[first], results[second], draws=10_000)
        for metric, (heading, factor, digits) in MEASURES.items():
            value, low, high, p = paired.loc[metric].to_numpy()
            value, low, high = factor * value, factor * low, factor * high
            rows[(*label, heading)] = {
                "difference": round(float(value), digits),
                "95 % interval": f"[{low:.{digits}f}, {high:.{digits}f}]",
                "p": p,
            }
    table = pd.DataFrame(rows).T
    if len(table):
        table["p, corrected"] = evaluation.holm(table["p"].to_numpy())
    return table


def against_paper(results: Mapping[str, Sums], recipe: str) -> pd.DataFrame:
    """Each cell of the paper that was run here on random clips: where the paper's value lies."""
    rows = {}
    for _, quoted in tables.paper().iterrows():
        key = Configuration(quoted["representation"], quoted["architecture"], PROTOCOLS[0], recipe)
        if str(key) not in results:
            continue
        scores = evaluation.score(results[str(key)])
        row = {}
        for metric, (heading, factor, digits) in MEASURES.items():
            value, low, high = factor * scores.loc[metric].to_numpy()
            theirs = factor * quoted[metric]
            lies = "below" if theirs < low else "above" if theirs > high else "inside"
            row[heading] = f"{theirs:.{digits}f} lies {lies} our {value:.{digits}f} " + (
                f"[{low:.{digits}f}, {high:.{digits}f}]"
            )
        rows[NAMES_SHOWN[key.representation], NAMES_SHOWN[key.architecture]] = row
    return pd.DataFrame(rows).T


def lost_on_unseen_speakers(results: Mapping[str, Sums], recipe: str) -> str:
    """One sentence: what is left of each measure when the speaker is new, over all networks."""
    seen, unseen, constant = {}, {}, {}
    ignoring = evaluation.score(results[f"{CONSTANT} {PROTOCOLS[1]}"])["value"]
    for metric, (_, factor, _) in MEASURES.items():
        seen[metric], unseen[metric] = (
            [
                factor * evaluation.score(counts)["value"][metric]
                for key, counts in results.items()
                if key.endswith(f"{protocol} {recipe}")
            ]
            for protocol in PROTOCOLS
        )
        constant[metric] = factor * ignoring[metric]
    age, nothing = unseen["age_rmse"], constant["age_rmse"]
    beating = sum(error < nothing for error in age)
    verdict = {0: "none of them beats", len(age): "all of them beat"}.get(
        beating, f"{beating} of {len(age)} beat"
    )
    return (
        f"on random clips our networks reach {_range(seen['emotion_accuracy'])} % emotion, "
        f"{_range(seen['gender_accuracy'])} % gender and an age error of "
        f"{_range(seen['age_rmse'])} years; on speakers they never heard "
        f"{_range(unseen['emotion_accuracy'])} %, {_range(unseen['gender_accuracy'])} % and "
        f"{_range(age)} years, where a constant errs by {nothing:.1f}: such a table's age column "
        f"measures how well speakers are remembered, and for a new voice {verdict} saying the mean."
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


def distance_from_shipped(results: Mapping[str, Sums]) -> str:
    """One sentence: the largest difference between these results and those that are shipped."""
    shipped = evaluation.read_sums(tables.results_file())
    shared = [key for key in results if key in shipped]
    largest = {
        heading: max(
            factor * abs(_value(results[key], metric) - _value(shipped[key], metric))
            for key in shared
        )
        for metric, (heading, factor, _) in MEASURES.items()
    }
    return (
        f"The results that ship with the repository and this run differ, over {len(shared)} "
        "configurations, by at most "
        + ", ".join(f"{value:.2f} ({heading})" for heading, value in largest.items())
        + "."
    )


def _value(counts: Sums, metric: str) -> float:
    return evaluation.score(counts, draws=1)["value"][metric]
