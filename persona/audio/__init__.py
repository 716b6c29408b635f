"""Any recording to mono 16 kHz, and where in it somebody speaks.

`reader` reads what `decoding`, `headers`, `downmix`, `waveform` and `resampling` make of a file;
`speech` finds where somebody speaks; `quality` measures, `degradations` makes worse; `folders`
lists.
"""

from persona.audio.reader import (
    EXTENSIONS,
    RATE,
    Audio,
    Reader,
    Source,
    limit,
    read,
)

__all__ = ["EXTENSIONS", "RATE", "Audio", "Reader", "Source", "limit", "read"]
