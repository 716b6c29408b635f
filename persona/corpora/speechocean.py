"""speechocean762: other people's ages, to learn age from more voices than CREMA-D's 91."""

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from persona.corpora.base import Published

if TYPE_CHECKING:
    from pandas import DataFrame


class Speechocean(Published):
    """Ten clips each of 250 native speakers of Mandarin, about half of them children.

    folder : checkout of jimbozhang/speechocean762.

    No emotion is known. The ten clips of a speaker are the first ones of ten equal stretches in
    the order of their names. Further columns of the clips: seconds, pcm_sha256.
    """

    name = "speechocean762"
    title = "speechocean762"
    licence = "CC BY 4.0 (OpenSLR 101)"
    citation = (
        "Zhang, Zhang, Wang, Yan, Song, Huang, Li, Povey and Wang (2021), speechocean762: An "
        "open-source non-native English speech corpus for pronunciation assessment, Interspeech"
    )
    language = "en"
    hint: ClassVar[str] = "name a checkout of github.com/jimbozhang/speechocean762."
    types: ClassVar[dict[str, type]] = {"clip": str, "speaker": str}

    def clips(self) -> "DataFrame":
        return self.table.assign(emotion=None)

    def stem(self, clip: str) -> str:
        return f"WAVE/SPEAKER{self._speaker.get(clip)}/{clip}"

    @cached_property
    def _speaker(self) -> dict[str, str]:
        return dict(zip(self.table["clip"], self.table["speaker"], strict=True))
