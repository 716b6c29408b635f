"""The recipe of the best models, and of the one that ships."""

from dataclasses import replace

import pandas as pd

from persona.experiment import Experiment
from persona.training import Settings

RECIPE = Settings(
    epochs=12,
    schedule="one-cycle",
    patience=0,
    weight_decay=0.05,
    dropout=0.5,
    input_dropout=0.25,
    age_head="linear",
    age_dropout=0.6,
    label_smoothing=0.1,
    hidden=(256,),
    weights=(1.0, 0.3, 0.3),
)
"""One wide hidden layer with dropout, no early stopping, and age past the trunk: hidden layers
learn 91 speakers by heart, a linear map under a ridge penalty has less room to."""

SEEDS = (1, 2, 3)
"""Deals of the folds on which the best models are tested."""

READERS = "speechocean762"
OUTSIDE = ("crema-d-degraded", READERS)
"""Trained on besides: a degraded copy of every clip, and other people's ages."""

LENGTHS = ("crema-d-halves", "crema-d-joined")
"""Trained on besides: half of every clip, and two clips in one, with and without a pause."""

BLOCKS = "campplus_block2+campplus_block3"
"""Two inner layers of CAM++: each one's mean and deviation over the clip."""

ENDS = f"campplus_block2_ends+{BLOCKS}+campplus_block3_ends"
PARTS = ((0, 4096), (2048, 6144), (4096, 8192))
"""What the app listens to: the same layers, and what they do in the first and the last third of the
clip. One network each listens to the second block and its ends, to both blocks, and to the third
block and its ends."""

TESTED = ("crema-d", "crema-d-degraded-test", "emodb")
"""Where networks are tested at home, outside the studio and abroad."""


ADULT = 15
"""Years. A boy's voice is as high as a woman's: networks that learnt younger people's gender called
women in EmoDB male."""


GROWN = 18
"""Years. Excited children read, too; the clips taken for neutral are of older people."""

PLAIN = 2
"""Clips of each such reader. More teach that whatever does not sound like CREMA-D is neutral."""


def adult_genders(clips: pd.DataFrame) -> pd.DataFrame:
    """The same clips; of children, gender is unknown."""
    return clips.assign(gender=clips["gender"].where(clips["age"] >= ADULT, None))


def plain_readers(clips: pd.DataFrame) -> pd.DataFrame:
    """As of `adult_genders`; where no emotion is known, people read: the first clips are neutral.

    Of each speaker of `GROWN` years and over `PLAIN` clips are taken for neutral.
    """
    clips = adult_genders(clips)
    if clips["emotion"].notna().any():
        return clips
    plain = (clips.groupby("speaker").cumcount() < PLAIN) & (clips["age"] >= GROWN)
    return clips.assign(emotion=plain.map({True: "neutral", False: None}))


def recipe(
    representation: str, networks: int = 1, label: str = "", **changes: object
) -> Experiment:
    """`RECIPE` on feature tables, for unseen speakers; `changes` as of `Experiment.but`."""
    settings = replace(RECIPE, networks=networks)
    plain = Experiment(representation, seeds=SEEDS, settings=settings, label=label)
    return plain.but(**changes)


def whole_clips() -> Experiment:
    """The step before the one that ships: the same networks, on whole clips of actors."""
    return recipe(
        ENDS,
        parts=PARTS,
        besides=OUTSIDE,
        epochs=8,
        relabel=adult_genders,
        label="how it begins and ends, a network a part",
    )


def shipped() -> Experiment:
    """The experiment whose networks, trained on every clip, are the app's model.

    Copies and other people make its clips five times as many, so that it takes fewer epochs.
    """
    return recipe(
        ENDS,
        parts=PARTS,
        besides=(*OUTSIDE, *LENGTHS),
        moved=2,
        moved_by=(0.3, 1.5),
        moved_to=READERS,
        per_label=True,
        old=3.0,
        epochs=6,
        batch_size=128,
        relabel=plain_readers,
        label="the model that ships",
    )
