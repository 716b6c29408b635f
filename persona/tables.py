"""The study's tables: the paper's numbers, ours beside them, and the headline of the README."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from persona import corpora, evaluation, paths
from persona.evaluation import Sums
from persona.folds import PROTOCOLS
from persona.predictions import Configuration
from persona.representations import NAMES

NAMES_SHOWN = {
    "mfcc": "MFCC", "wavlm": "WavLM", "xvector": "x-vector", "dvector": "d-vector",
    "egemaps": "eGeMAPS", "fcn": "FCN", "cnn": "CNN",
    "random-clip": "random clips", "speaker-disjoint": "unseen speakers",
}  # fmt: skip
"""How code names appear in tables and figures."""

MEASURES = {
    "emotion_accuracy": ("emotion %", 100, 1),
    "gender_accuracy": ("gender %", 100, 1),
    "age_rmse": ("age RMSE, years", 1, 1),
}
"""The paper's three measures: heading, factor and decimals."""

CONSTANT = "constant"
"""Name of the predictor that ignores the voice."""


def results_file() -> Path:
    """The main study's results that ship with the repository."""
    return paths.data() / "results" / "main.parquet"


def paper() -> pd.DataFrame:
    """The paper's table: columns representation, architecture, and `MEASURES` in our units."""
    table = pd.read_csv(paths.data() / "paper_table.csv")
    return table.assign(
        emotion_accuracy=table["emotion_accuracy"] / 100,
        gender_accuracy=table["gender_accuracy"] / 100,
    )


def constants(seeds: Sequence[int], policy: str = "clean") -> dict[str, Sums]:
    """Sums of the constant predictor under both protocols, named "constant PROTOCOL"."""
    clips = corpora.clips(policy)
    return {
        f"{CONSTANT} {protocol}": evaluation.sums(
            evaluation.constant(clips, protocol, seeds), clips
        )
        for protocol in PROTOCOLS
    }


def cell(scores: pd.DataFrame, metric: str) -> str:
    """One value with its 95 % interval, e.g. "54.0 [52.2, 55.9]"; `scores` as of `score`."""
    _, factor, digits = MEASURES[metric]
    value, low, high = factor * scores.loc[metric].to_numpy()
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def beside_paper(
    results: Mapping[str, Sums], architectures: Sequence[str], recipe: str
) -> pd.DataFrame:
    """The paper's table beside ours: a row per measure, representation and network.

    results : sums by configuration (`str(Configuration)`) and constant. What has no result is
    shown as "not run here".
    """
    published = paper().set_index(["representation", "architecture"])
    rows = {}
    for metric, (heading, factor, digits) in MEASURES.items():
        for name in NAMES:
            for architecture in architectures:
                quoted = published[metric].get((name, architecture))
                row = {"paper": "-" if quoted is None else f"{quoted * factor:.{digits}f}"}
                for protocol in PROTOCOLS:
                    key = str(Configuration(name, architecture, protocol, recipe))
                    row[f"ours, {NAMES_SHOWN[protocol]}"] = _cell(results.get(key), metric)
                rows[heading, NAMES_SHOWN[name], NAMES_SHOWN[architecture]] = row
        ignoring = {"paper": "-"}
        for protocol in PROTOCOLS:
            counts = results.get(f"{CONSTANT} {protocol}")
            ignoring[f"ours, {NAMES_SHOWN[protocol]}"] = _cell(counts, metric)
        rows[heading, "ignores the voice", "-"] = ignoring
    return pd.DataFrame(rows).T.rename_axis(["measure", "representation", "network"])


def _cell(counts: Sums | None, metric: str) -> str:
    return "not run here" if counts is None else cell(evaluation.score(counts), metric)


def headline(results: Mapping[str, Sums]) -> str:
    """The README's table in Markdown: the paper, ours on random clips, ours on unseen speakers."""
    published = paper()
    headings = [heading for heading, _, _ in MEASURES.values()]
    lines = [
        "| | " + " | ".join(["representation", "network", *headings]) + " |",
        "|---" * 3 + "|--:" * 3 + "|",
    ]
    for _, row in published[published["representation"] != "wavlm"].iterrows():
        values = [f"{row[m] * factor:.{digits}f}" for m, (_, factor, digits) in MEASURES.items()]
        lines.append(_line("paper", row["representation"], row["architecture"], values))
    for protocol in PROTOCOLS:
        for name in ("mfcc", "dvector", "egemaps"):
            for architecture in ("fcn", "cnn"):
                key = str(Configuration(name, architecture, protocol, "balanced"))
                scores = evaluation.score(results[key])
                values = [cell(scores, metric) for metric in MEASURES]
                lines.append(_line(f"ours, {NAMES_SHOWN[protocol]}", name, architecture, values))
        scores = evaluation.score(results[f"{CONSTANT} {protocol}"])
        values = [cell(scores, metric) for metric in MEASURES]
        lines.append(_line(f"ours, {NAMES_SHOWN[protocol]}", "*ignores the voice*", "", values))
    return "\n".join(lines)


def _line(source: str, representation: str, architecture: str, values: Sequence[str]) -> str:
    shown = [NAMES_SHOWN.get(name, name) for name in (representation, architecture)]
    return "| " + " | ".join([source, *shown, *values]) + " |"


def not_run(available: Sequence[str]) -> str:
    """Markdown list of representations without a feature table here, and what makes it."""
    return "\n".join(
        f"- {NAMES_SHOWN[name]} is not run here; to run it: "
        f"`persona corpus fetch && persona extract --representation {name} && make study`"
        for name in NAMES
        if name not in available
    )
