"""What an emotion's label in another language or corpus may mean: a guess, to be looked at."""

import unicodedata
from collections.abc import Iterable

_STEMS = {
    "anger": "ang ira irrit rage fury furi mad annoy wut zorn arger verarger coler enoj enfad "
    "rabbi arrabbi raiv boos woed 生气 愤怒 生氣 憤怒",
    "disgust": "disg ekel angeekel degout asco asque nojo walg afschuw schifo 厌恶 厭惡",
    "fear": "fear afraid scare anxi angst furcht peur mied asust paur med bang terror "
    "恐惧 害怕 恐懼",
    "happy": "hap joy glad cheer freud froh gluck joie joyeu heureu aleg feli gioi blij vreugd "
    "content 高兴 开心 快乐 高興 開心",
    "neutral": "neu norm calm ruhig 中性 中立",
    "sad": "sad sorrow unhap traur trist verdriet bedroefd 悲伤 难过 悲傷",
}
"""Beginnings of words, without accents, that mean a class: English, German, French, Spanish,
Italian, Portuguese, Dutch and Chinese."""


def guesses(labels: Iterable[str], classes: Iterable[str]) -> dict[str, str | None]:
    """For each label the class that it may mean, None where nothing is known of it."""
    return {label: _guess(label, list(classes)) for label in labels}


def _guess(label: str, classes: list[str]) -> str | None:
    plain = _plain(label)
    if same := [name for name in classes if _plain(name) == plain]:
        return same[0]
    stems = {stem: name for name in classes for stem in _STEMS.get(name, "").split()}
    found = [stem for stem in stems if plain.startswith(stem)]
    return stems[max(found, key=len)] if found else None


def _plain(word: str) -> str:
    """Small letters without accents."""
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c)).strip()
