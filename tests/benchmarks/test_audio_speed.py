import io
import time

import numpy as np
import soundfile

from persona import audio


def test_a_minute_of_44100_hz_stereo_mp3_is_read_in_a_seventh_of_a_second():
    """The best of five, on one core, decoding, downmix and resampling together."""
    rng = np.random.default_rng(0)
    hum = 0.3 * np.sin(2 * np.pi * 220 * np.arange(60 * 44_100) / 44_100)
    minute = hum[:, None] + 0.05 * rng.standard_normal((60 * 44_100, 2))
    buffer = io.BytesIO()
    soundfile.write(buffer, minute, 44_100, format="MP3")
    content = buffer.getvalue()

    def once() -> float:
        started = time.process_time()
        assert audio.read(content).seconds == 60
        return time.process_time() - started

    assert min(once() for _ in range(5)) < 0.15
