"""eGeMAPSv02: 88 acoustic functionals made for affective computing (openSMILE).

Eyben et al. (2016), "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice research
and affective computing", doi:10.1109/TAFFC.2015.2457417.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from persona.audio import RATE


class EGeMAPS:
    """The 88 functionals of the extended Geneva set, in their own units (Hz, dB, ...).

    Functionals that do not exist for a clip (no voiced frame, say) are 0, as openSMILE itself
    reports most of them.
    """

    name = "egemaps"
    title = "eGeMAPS"
    kind = "acoustic features"
    dimension = 88
    rate = RATE
    version = 1
    libraries = ("opensmile",)
    thread_safe = True  # openSMILE is set up anew for every clip
    needs_download = False
    dtype = "float32"

    def __init__(self) -> None:
        import opensmile

        self._smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02,
            feature_level=opensmile.FeatureLevel.Functionals,
        )

    @property
    def columns(self) -> list[str]:
        """Names of the 88 functionals, in order."""
        return self._smile.feature_names

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        vectors = np.empty((len(waveforms), self.dimension), np.float32)
        for row, waveform in enumerate(waveforms):
            # The interpreter under `process_signal`, without building a data frame per clip.
            vectors[row] = np.ravel(self._smile(waveform, RATE))
        return np.nan_to_num(vectors, posinf=0, neginf=0)

    def provenance(self) -> dict[str, Any]:
        return {"representation": self.name, "version": self.version, "set": "eGeMAPSv02"}
