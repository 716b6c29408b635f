"""EmoDB, the Berlin Database of Emotional Speech: unseen speakers in another language."""

from typing import ClassVar

from persona.corpora.base import Published


class EmoDB(Published):
    """The 454 clips of EmoDB whose emotion is one of CREMA-D's; boredom is left out.

    Further columns of its clips: seconds, pcm_sha256.
    """

    name = "emodb"
    title = "EmoDB"
    licence = "CC0-1.0 (audEERING's release), CC BY 4.0 (Zenodo, version 2.0)"
    citation = (
        "Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss (2005), A database of German emotional "
        "speech, Interspeech"
    )
    language = "de"
    hint: ClassVar[str] = "name the folder that directly holds its WAV or FLAC files."
