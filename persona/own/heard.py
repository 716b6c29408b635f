"""Which recordings a model heard when it was trained: by hashes of their samples, clip by clip."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from persona import corpora
from persona.corpora import Corpus, CremaD
from persona.corpora.base import Published, pcm
from persona.corpora.derived import Derived
from persona.errors import PersonaError
from persona.keeping import parallel, progress
from persona.model.predictor import Predictor
from persona.model.saved import Model

PART = 64
"""Clips that a worker reads at once."""

DIGITS = 16
"""Hexadecimal digits of a SHA-256 that a card holds of each clip: so many never meet by chance."""


def heard(predictor: Predictor, corpus: Corpus, jobs: int | None = None) -> list[str]:
    """Clips of a corpus whose very samples the model was trained on, or which were made of such.

    Other formats of a recording have other samples. Of a model whose card holds no hashes, only
    published corpora are known, and the whole of what it was trained on.
    """
    trained = _trained(predictor.card)
    if corpus.fingerprint() in [of["fingerprint"] for of in trained]:
        return sorted(corpus.clips()["clip"])
    if isinstance(corpus, Derived):
        originals = set(heard(predictor, corpus.corpus, jobs))
        return sorted(clip for clip, parts in corpus.parts.items() if originals & set(parts))
    known = {digest for of in trained for digest in _known(of)}
    found = _digests(corpus, jobs) if known else {}
    return sorted(clip for clip, digests in found.items() if known.intersection(digests))


def stamped(
    model: Model, corpus: Corpus, start: Model | None = None, jobs: int | None = None
) -> Model:
    """The model with hashes on its card of all clips of the corpus that it was trained on.

    start : model that it went on from, whose corpora it heard before.
    """
    digests = sorted(first for first, _ in _digests(corpus, jobs).values())
    of, *others = model.card["data"]["corpora"]
    data = {**model.card["data"], "corpora": [{**of, "samples_sha256": digests}, *others]}
    if start:
        data["before"] = _trained(start.card)
    return replace(model, card={**model.card, "data": data})


def _trained(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Corpora that a model heard, those of models that it went on from too."""
    return [*card["data"].get("corpora", []), *card["data"].get("before", [])]


def _known(trained: dict[str, Any]) -> Iterator[str]:
    """Hashes of the clips of a corpus that a card names."""
    yield from trained.get("samples_sha256", ())
    name = trained["name"]
    if name in corpora.NAMES and isinstance(corpus := corpora.load(name), Published):
        yield from (corpus.known[clip][:DIGITS] for clip in corpus.clips()["clip"])


def _digests(corpus: Corpus, jobs: int | None) -> dict[str, tuple[str, ...]]:
    """The first `DIGITS` of each hash by which a clip may be known."""
    names = corpus.clips()["clip"].tolist()
    if isinstance(corpus, Published):
        return {name: (corpus.known[name][:DIGITS],) for name in names}
    tasks = [(corpus, names[i : i + PART]) for i in range(0, len(names), PART)]
    found: dict[str, tuple[str, ...]] = {}
    with progress.bar(None, "comparing", total=len(names), unit="clip") as bar:
        for _, part in parallel.run(_digests_of, tasks, jobs=jobs):
            found |= part
            bar.update(len(part))
    return found


def _digests_of(corpus: Corpus, clips: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found = {}
    for clip in clips:
        try:
            samples = pcm(corpus.waveform(clip))
        except PersonaError:
            continue  # extraction says what is wrong with it
        found[clip] = tuple(kind.digest(samples)[:DIGITS] for kind in (Published, CremaD))
    return found
