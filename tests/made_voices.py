"""Voices made of harmonics, and tables of them: for tests that start from files."""

import numpy as np
import soundfile

CLASSES = ("bored", "irate", "warm")


def voice(hertz: float, tilt: float, seed: int, seconds: float = 1.6) -> np.ndarray:
    """Harmonics that swell and fade like syllables, in a little noise."""
    time = np.arange(round(16_000 * seconds)) / 16_000
    rng = np.random.default_rng(seed)
    wave = sum(np.sin(2 * np.pi * hertz * k * time + rng.uniform(0, 6)) / k**tilt
               for k in range(1, 30))  # fmt: skip
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, 1)
    return 0.1 * wave * syllables + 0.001 * rng.normal(size=len(time))


def table(folder, speakers=6, each=6, emotions=CLASSES, gender=True, age=True, seed=0) -> str:
    """Made voices with labels: a CSV and its files; others by another seed."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,speaker,emotion,gender,age,language,seconds"]
    for speaker in range(speakers):
        for n in range(each):
            name, k = f"{speaker}-{n}.wav", n % 3
            wave = voice(
                100 + 80 * (speaker % 2) + 5 * speaker, 0.6 + 0.5 * k, 10 * speaker + n + seed
            )
            soundfile.write(folder / name, wave, 16_000)
            labels = (
                emotions[k] if emotions else "",
                ("male", "female")[speaker % 2] if gender else "",
                str(20 + 7 * speaker) if age else "",
                ("de", "fr")[speaker % 2],
                "1.6",
            )
            lines.append(",".join([name, f"s{speaker}", *labels]))
    file = folder / "mine.csv"
    file.write_text("\n".join(lines) + "\n")
    return str(file)
