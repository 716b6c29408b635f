"""What doubling the training speakers, or the clips of each, does: slopes of learning curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from persona import evaluation
from persona.evaluation import Sums
from persona.study.comparison import DRAWS, corrected
from persona.study.terms import METRICS

SPEAKERS = "twice the speakers"
CLIPS = "twice the clips of each"
SPREAD = "twice the speakers, as many clips"


def doublings(
    points: Mapping[tuple[int, int], Sums], metrics: Sequence[str], draws: int = DRAWS
) -> pd.DataFrame:
    """What one doubling changes, over all points of the learning curves.

    points : sums by number of training speakers and of clips of each, of the same test speakers.

    Each metric is regressed on the base-2 logarithms of both numbers, in every bootstrap sample of
    test speakers. Returns a table as of `comparison.compare`, labelled `SPEAKERS`, `CLIPS` or
    `SPREAD`.
    """
    counts = np.log2(np.array(list(points), float))
    design = np.column_stack([np.ones(len(counts)), counts])  # (points, 3)
    tested = len(next(iter(points.values())).speakers)
    weights = np.vstack([np.ones(tested), evaluation.resample(tested, draws)])
    values = [evaluation.metrics(sums, weights) for sums in points.values()]
    rows = []
    for metric in metrics:
        observed = METRICS[metric].factor * np.array([value[metric] for value in values])
        _, speakers, clips = np.linalg.lstsq(design, observed, rcond=None)[0]  # (1 + draws,) each
        for label, effect in ((SPEAKERS, speakers), (CLIPS, clips), (SPREAD, speakers - clips)):
            rows.append((label, metric, effect[0], *evaluation.tested(effect[1:])))
    return corrected(rows)
