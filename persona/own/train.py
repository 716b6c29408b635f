"""A model of one's own recordings: from a table of clips to a model's folder with its card."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona import corpora, features, folds, representations
from persona.corpora import Corpus, Table
from persona.errors import CorpusError, FeatureError, ModelError
from persona.errors import first as named
from persona.experiment import Experiment
from persona.folds import FOLDS
from persona.keeping import store
from persona.labels import TASKS
from persona.model import answers, limits, release
from persona.model import card as cards
from persona.model import saved as models
from persona.model.card import WEIGHTS
from persona.model.predictor import Predictor
from persona.own import copies, voices
from persona.own.doubts import doubts
from persona.own.heard import heard, stamped
from persona.representations import vectors
from persona.representations.campplus import joined
from persona.training import Settings

if TYPE_CHECKING:
    from pandas import DataFrame

DEFAULT = "campplus_blocks"
TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    DEFAULT: ("campplus", {"layer": "block2+block3"}),
}
"""Feature tables that are not called by their representation alone: it, and its parameters."""

SEEDS = (1, 2, 3)

FURTHER = 3e-4
"""Learning rate of networks that go on from a model's: a third of that of new ones."""


def train(
    path: Path | str,
    out: Path,
    settings: Settings,
    *,
    folder: Path | str | None = None,
    representation: Sequence[str] = (DEFAULT,),
    shared_speakers: bool = False,
    start: str | None = None,
    jobs: int | None = None,
) -> Predictor:
    """Extract, cross-validate and train on a table of clips, and save the model to `out`.

    What is interrupted goes on where it was when it is called again.

    path : of the table, see `corpora.Table`. folder : of its files, by default the table's own.
    settings : of the networks; the weight of a task is set to 0 where too little is labelled.
    representation : feature tables, joined: names of representations, or of `TABLES`, or files of
        one's own vectors, as of `representations.vectors`.
    shared_speakers : deal clips, not speakers, into folds, as few speakers leave no other way.
        The card says so.
    start : model whose networks training goes on from, a folder, a name on the hub, or "default",
        the one that ships; its representations and the shape of its networks are kept.
    jobs : processes, as of `parallel.run`.

    Raises `PersonaError` where the table, its audio or its speakers do not suffice.
    """
    corpus = corpora.load(path, **({"folder": folder} if folder else {}))
    if not isinstance(corpus, Table) or "+" in str(path):
        raise CorpusError(
            f"{path} is not a table of clips: name a file that ends in "
            f"{', '.join(Table.SUFFIXES)}, without '+' in its path."
        )
    tasks, notes = learnable(corpus.clips(), shared_speakers)
    notes += [one.words for one in doubts(corpus.clips())]
    notes += extract(corpus, () if start else representation, jobs)
    emotion, gender, age = (
        w if task in tasks else 0.0 for task, w in zip(TASKS, settings.weights, strict=True)
    )
    experiment = Experiment(
        "+".join(representation),
        corpus=str(path),
        protocol="random-clip" if shared_speakers else "speaker-disjoint",
        seeds=SEEDS,
        settings=replace(settings, weights=(emotion, gender, age)),
        label=corpus.title,
    )
    if start:
        experiment = _further(experiment, start, corpus, jobs)
        notes.append(f"Its networks went on from those of the model {Path(start).name}.")
    names = experiment.representation.split("+")
    notes += unheard(corpus, names)
    notes += copies.across(corpus.clips(), str(path), names, shared_speakers)
    model = release.trained(experiment, jobs=jobs, shared_speakers=shared_speakers, notes=notes)
    before = models.load(_named(start)) if start else None
    model = stamped(model, corpus, before, jobs)
    measured = model.card["evaluation"] | voices.held_out(experiment, tasks, jobs)
    replace(model, card={**model.card, "evaluation": measured}).save(out)
    return Predictor.load(out)


def learnable(clips: "DataFrame", shared_speakers: bool = False) -> tuple[list[str], list[str]]:
    """Tasks that the labels of a table suffice for, and a sentence on each that is left out.

    Raises `CorpusError` where no task is left, or the speakers cannot be dealt into folds.
    """
    people = clips["speaker"].nunique()
    if people < (2 if shared_speakers else FOLDS):
        allow = (
            "" if people < 2 else
            ", or give --allow-shared-speakers, which the model's card will say"
        )  # fmt: skip
        raise CorpusError(
            f"The table has {people} speaker{'s' if people > 1 else ''}: testing on voices that "
            f"were not trained on takes {FOLDS} or more. Add recordings of other people{allow}."
        )
    if taken := set(clips["emotion"]) & set(answers.columns(())):
        raise CorpusError(
            f"An emotion is called {sorted(taken)[0]!r}, as a column of answers is: rename it."
        )
    protocol = "random-clip" if shared_speakers else "speaker-disjoint"
    splits = [split for seed in SEEDS for split in folds.split(clips, protocol, seed)]
    tasks, notes = [], []
    for task in TASKS:
        if why := _missing(clips, task, splits, 2 if shared_speakers else FOLDS):
            notes.append(f"It does not answer {task}: {why}.")
        else:
            tasks.append(task)
    if not tasks:
        raise CorpusError(f"There is nothing to learn. {' '.join(notes)} Fill in labels.")
    return tasks, notes


def _missing(clips: "DataFrame", task: str, splits: list[folds.Split], fewest: int) -> str:
    """Why a task cannot be learnt and tested, in a few words; empty where it can."""
    labelled = clips[clips[task].notna()]
    if labelled.empty:
        return "no clip has a label"
    if labelled[task].nunique() < 2:
        return f"all labels are {labelled[task].iloc[0]}"
    if (people := labelled["speaker"].nunique()) < fewest:
        return f"{people} speakers have a label, and {fewest} or more are needed"
    known = clips[task].notna().to_numpy()
    if not all(known[split.train].any() for split in splits):
        return "those with a label stand in one fold"
    return ""


def extract(corpus: Corpus, representation: Sequence[str], jobs: int | None) -> list[str]:
    """Make the feature tables that are not there yet; returns sentences on the audio.

    Raises `CorpusError` where a file is missing or cannot be used, or the corpus is no table.
    """
    if not isinstance(corpus, Table):
        raise CorpusError(
            f"{corpus.title} is not a table of clips: name a file that ends in "
            f"{', '.join(Table.SUFFIXES)}."
        )
    heard = [name for name in representation if not vectors.is_file(name)]
    notes = [
        f"It answers to vectors as those of {Path(name).name}, and not to recordings."
        for name in representation
        if name not in heard
    ]
    if representation and not heard:
        return notes
    if problems := corpus.problems():
        raise CorpusError(
            f"{corpus.path} names audio that cannot be used: {corpora.summary(problems)}. Put it "
            f"there or remove the rows; `persona corpus check {corpus.path}` lists them."
            f"{corpus.hint(problems[0].clip) if problems[0].reason == 'missing' else ''}"
        )
    digests = corpus.digests()
    for name in heard:
        embed(corpus, jobs, name)
    if again := len(digests) - len(set(digests.values())):
        notes.append(
            f"{again} files are copies of others, which makes its numbers too good where they "
            "stand on both sides: see `persona corpus check`."
        )
    return notes


def embed(corpus: Corpus, jobs: int | None = None, name: str = DEFAULT) -> None:
    """Make a feature table, of `TABLES` or a representation's, unless it is there."""
    made_by, parameters = TABLES.get(name, (name, {}))
    _make(corpus, name, made_by, parameters, jobs)


def unheard(corpus: Corpus, names: Sequence[str]) -> list[str]:
    """A sentence where in some recordings of a corpus nobody speaks.

    names : of its feature tables. Raises `CorpusError` where in none of them anybody does.
    """
    made_by = [store.read_provenance(features.path(name, called(corpus))) for name in names]
    clips = set(corpus.clips()["clip"])
    quiet = clips & {clip for made in made_by for clip in made.get("no_speech_found", [])}
    if quiet == clips:
        raise CorpusError(
            f"In all of the {len(clips):,} recordings no speech was found: give recordings in "
            "which somebody speaks, close to the microphone and louder than what surrounds them."
        )
    return [
        f"In {len(quiet):,} of {len(clips):,} recordings no speech was found, and they were taken "
        "whole, as they are: what is said of them says nothing of voices."
    ] if quiet else []  # fmt: skip


def tables(predictor: Predictor, corpus: Corpus, jobs: int | None = None) -> list[str]:
    """Feature tables of a corpus by a model's representations; made where they are not there.

    Layers of one network stand in one table, as the predictor embeds them: it runs once.
    """
    names = []
    for made_by in joined(predictor.card["representations"]):
        restored = representations.restore(made_by)
        name = f"{made_by['representation']}-{store.fingerprint(restored.provenance())[:8]}"
        parameters = representations.parameters(made_by)
        _make(corpus, name, made_by["representation"], parameters, jobs)
        names.append(name)
    return names


def called(corpus: Corpus) -> str:
    """What `corpora.load` knows a corpus by: its name, or the path of its table."""
    return str(corpus.path) if isinstance(corpus, Table) else corpus.name


def _make(
    corpus: Corpus, name: str, representation: str, parameters: dict[str, Any], jobs: int | None
) -> None:
    """Extract, unless there is a table of this very audio, made as it would be made today."""
    made_by = store.read_provenance(features.path(name, called(corpus)))
    with suppress(FeatureError):
        features.read(name, called(corpus))
        if made_by["corpus"]["fingerprint"] == corpus.fingerprint():
            return
    _, bad = features.extract(corpus, representation, name=name, jobs=jobs, **parameters)
    if bad:
        raise CorpusError(f"{next(iter(bad.values()))} Remove its row, and start again.")


def continued(emotions: tuple[str, ...], *, model: str, sha256: str) -> list[Any]:
    """Networks of a model for other emotions: those it knows as it knows them, new ones at zero.

    model : folder, or name on the hub; empty the one that ships. sha256 : of its weights.
    """
    import torch

    loaded = models.load(model or None)
    if loaded.card["sha256"][WEIGHTS] != sha256:
        raise ModelError(f"The model {model} changed while it was trained further: start again.")
    known = cards.tasks(loaded.card).get("emotion", [])
    networks = list(loaded.networks().networks)
    for network in networks:
        before: Any = network.emotion
        after = torch.nn.Linear(before.in_features, len(emotions))
        with torch.no_grad():
            after.weight.zero_()
            after.bias.zero_()
            for row, name in enumerate(emotions):
                if name in known:
                    after.weight[row] = before.weight[known.index(name)]
                    after.bias[row] = before.bias[known.index(name)]
        network.emotion = after
    return networks


def _named(start: str) -> str | None:
    """The model to go on from, as `saved.load` takes it."""
    return None if start == "default" else start


def _further(experiment: Experiment, start: str, corpus: Table, jobs: int | None) -> Experiment:
    """The experiment with networks that go on from a model's, in their shape."""
    first = Predictor(models.load(_named(start)))
    if known := heard(first, corpus, jobs):
        raise CorpusError(
            f"The model {start} was trained on {len(known):,} of these recordings "
            f"({named(known)}), which are no test of it: leave them out, go on from another, or "
            "leave --from out."
        )
    shape = ("architecture", "hidden", "age_head", "dropout", "input_dropout", "age_dropout")
    network = first.card["network"]
    parts = network.get("parts", ())
    return experiment.but(
        representation="+".join(tables(first, corpus, jobs)),
        start=partial(continued, model=_named(start) or "", sha256=first.card["sha256"][WEIGHTS]),
        learning_rate=FURTHER,
        networks=1 if parts else network["networks"],
        parts=parts,
        **{key: network[key] for key in shape},
    )


def lines(card: dict[str, Any]) -> list[str]:
    """The numbers of a card for people: each with its interval, and what needs no voice beside it:
    the better of one answer for all and a guess.
    """
    measured = card["evaluation"]
    return [*score_lines(measured["metrics"], measured["constant"]), *voices.lines(measured)]


def score_lines(metrics: dict[str, dict[str, Any]], constant: dict[str, float]) -> list[str]:
    """Metrics for people, a line each; a sentence where speakers are too few for an interval."""
    found = [f"  {'':18} {'model':>8}  {'95 % interval':17} {'by chance':>9}"]
    for metric, scored in metrics.items():
        known = scored["low"] is not None
        interval = f"[{scored['low']:.3f}, {scored['high']:.3f}]" if known else "not given"
        found.append(f"  {metric:18} {scored['value']:8.3f}  {interval:17} {constant[metric]:9.3f}")
    if any(scored["low"] is None for scored in metrics.values()):
        found.append(limits.too_few())
    return found
