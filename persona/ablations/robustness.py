"""Outside the studio: degraded clips, a corpus never heard, and augmentation as the remedy.

Networks are trained on CREMA-D's clean clips, or on those and one degraded copy of each, and
tested on degraded copies of clips of speakers they were not trained on, and on EmoDB.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from persona import (
    audio,
    corpora,
    degradations,
    evaluation,
    features,
    folds,
    paths,
    predictions,
    tables,
    training,
)
from persona.ablations._scores import DRAWS, planned
from persona.audio import RATE
from persona.errors import CorpusError
from persona.evaluation import Sums
from persona.features import FeatureTable
from persona.folds import Split
from persona.model import Network
from persona.provenance import software
from persona.training import Fit, Settings, Targets

SEEDS = (0, 1, 2)
PARTS = ("mfcc", "dvector")
"""Representations of the degraded copies; eGeMAPS takes five times as long as both together."""

VOICES = 4
"""Other speakers' clips in a babble."""


@dataclass(frozen=True)
class Copy:
    """One degraded copy of a clip.

    kind : "none", "white", "babble" (amount: SNR in dB), "telephone", "mp3" (kbit/s), "short"
        (seconds) or "level" (dB).
    voices : clips that a babble is made of.
    """

    clip: str
    kind: str
    amount: float = 0
    voices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.clip} {self.condition}"

    @property
    def condition(self) -> str:
        return label(self.kind, self.amount)

    def made(self, waveform: np.ndarray, voices: Sequence[np.ndarray]) -> np.ndarray:
        """The copy of a waveform; noise depends on the name of the copy only."""
        match self.kind:
            case "none":
                return waveform
            case "white":
                rng = np.random.default_rng(zlib.crc32(self.name.encode()))
                return degradations.with_noise(
                    waveform, rng.standard_normal(len(waveform)), self.amount
                )
            case "babble":
                return degradations.with_noise(
                    waveform, degradations.babble(voices, len(waveform)), self.amount
                )
            case "telephone":
                return degradations.telephone(waveform)
            case "mp3":
                return degradations.mp3(waveform, int(self.amount))
            case "short":
                return degradations.shortened(waveform, self.amount)
            case "level":
                return degradations.amplified(waveform, self.amount)
        raise ValueError(f"There is no degradation {self.kind!r}.")


def label(kind: str, amount: float) -> str:
    """What a condition is called in tables, e.g. "babble, 5 dB"."""
    amount = round(amount, 2)
    return {
        "none": "as recorded",
        "white": f"white noise, {amount:g} dB",
        "babble": f"babble, {amount:g} dB",
        "telephone": "telephone band",
        "mp3": f"MP3, {amount:g} kbit/s",
        "short": f"middle {amount:g} s",
        "level": f"level {amount:+g} dB",
    }[kind]


CONDITIONS = (
    ("none", 0),
    *((noise, snr) for noise in ("white", "babble") for snr in (20, 10, 5, 0)),
    ("telephone", 0),
    *(("mp3", rate) for rate in (128, 64, 32)),
    *(("short", seconds) for seconds in (2, 1, 0.5)),
    *(("level", decibels) for decibels in (-20, 10)),
)  # fmt: skip
"""Kind and amount of every test."""


def test_copies(clips: pd.DataFrame) -> list[Copy]:
    """Every condition of every clip (columns `clip`, `speaker`)."""
    rng = np.random.default_rng(0)
    return [
        Copy(clip, kind, amount, _voices(clips, speaker, rng) if kind == "babble" else ())
        for kind, amount in CONDITIONS
        for clip, speaker in zip(clips["clip"], clips["speaker"], strict=True)
    ]


def training_copies(clips: pd.DataFrame, seed: int = 0) -> list[Copy]:
    """One copy of every clip, of a kind and amount drawn at random.

    Noise at 0 to 20 dB, the telephone band, MP3 at 32 to 128 kbit/s, the middle 0.5 to 2 s,
    or a level of -20 to +10 dB; noises twice as often as the rest.
    """
    rng = np.random.default_rng(seed)
    ranges = {"white": (0, 20), "babble": (0, 20), "telephone": (0, 0), "mp3": (32, 128),
              "short": (0.5, 2), "level": (-20, 10)}  # fmt: skip
    kinds = rng.choice(list(ranges), len(clips), p=[0.25, 0.25, 0.125, 0.125, 0.125, 0.125])
    copies = []
    for clip, speaker, kind in zip(clips["clip"], clips["speaker"], kinds, strict=True):
        amount = rng.choice([32, 64, 128]) if kind == "mp3" else rng.uniform(*ranges[kind])
        voices = _voices(clips, speaker, rng) if kind == "babble" else ()
        copies.append(Copy(clip, str(kind), float(amount), voices))
    return copies


def _voices(clips: pd.DataFrame, speaker: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Clips of `VOICES` speakers other than `speaker`."""
    others = clips["speaker"].unique()
    chosen = rng.choice(others[others != speaker], VOICES, replace=False)
    names, speakers = clips["clip"].to_numpy(), clips["speaker"].to_numpy()
    return tuple(str(rng.choice(names[speakers == other])) for other in chosen)


def write_copies(
    copies: Sequence[Copy], source: Path, folder: Path, jobs: int | None = None
) -> list[Path]:
    """Write copies as 16-bit WAV named by number; those already there are kept.

    source : folder of the clips, WAV or FLAC. Raises `CorpusError` naming clips it lacks.
    """
    from tqdm import tqdm

    found = {file.stem: file for suffix in ("wav", "flac") for file in source.glob(f"*.{suffix}")}
    wanted = {clip for copy in copies for clip in (copy.clip, *copy.voices)}
    if missing := sorted(wanted - set(found)):
        raise CorpusError(
            f"{source} lacks {len(missing)} clips ({', '.join(missing[:3])}, ...): get them with "
            "`persona corpus fetch`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:06d}.wav" for number in range(len(copies))]
    waiting = [
        (copy, [found[clip] for clip in (copy.clip, *copy.voices)], file)
        for copy, file in zip(copies, files, strict=True)
        if not file.exists()
    ]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        written = pool.map(_write_copy, waiting, chunksize=32)
        for _ in tqdm(written, "degrading", len(waiting), unit="clip"):
            pass
    return files


def _write_copy(work: tuple[Copy, list[Path], Path]) -> None:
    import soundfile

    copy, sources, file = work
    waveform, *voices = (audio.read(source).samples for source in sources)
    unfinished = file.with_suffix(".unfinished")
    with np.errstate(over="ignore"):
        soundfile.write(unfinished, copy.made(waveform, voices), RATE, "PCM_16", format="WAV")
    unfinished.replace(file)


def embed(
    copies: Mapping[str, Copy], source: Path, tables: Mapping[str, Path], jobs: int | None = None
) -> None:
    """Embed copies, by the name they get, into one feature table per representation.

    source : folder of the clips. tables : representation to its file; those made from the same
        copies are kept. The audio of the copies stays in `build/` until every table is there,
        so that a killed run goes on.
    """
    made_from = hashlib.sha256(repr(list(copies.items())).encode()).hexdigest()
    waiting = {
        part: table
        for part, table in tables.items()
        if predictions.provenance(table).get("copies") != made_from
    }
    if not waiting:
        return
    scratch = _work() / made_from[:12]
    written = write_copies(list(copies.values()), source, scratch, jobs)
    for part, table in waiting.items():
        features.extract(part, dict(zip(copies, written, strict=True)), table, jobs=jobs)
        _annotate(table, made_from)
    shutil.rmtree(scratch)


def _annotate(table: Path, made_from: str) -> None:
    """Say in the provenance of a feature table which copies it was made from."""
    import pyarrow.parquet as parquet

    rows = parquet.read_table(table)
    made_by = {**json.loads(rows.schema.metadata[b"persona"]), "copies": made_from}
    rows = rows.replace_schema_metadata({"persona": json.dumps(made_by, sort_keys=True)})
    unfinished = table.with_suffix(".unfinished")
    parquet.write_table(
        rows, unfinished, compression="zstd",
        use_dictionary=["clip"], use_byte_stream_split=["embedding.list.element"],
    )  # fmt: skip
    unfinished.replace(table)


def _work() -> Path:
    return paths.build() / "ablations" / "robustness"


def trained(
    representation: str,
    copies: Sequence[Copy] = (),
    unseen: str = "",
    seeds: Sequence[int] = SEEDS,
    settings: Settings | None = None,
) -> tuple[Network, list[Split]]:
    """Networks for every seed and fold, in a stack, and the splits they were trained on.

    representation : feature table of the clean clips.
    copies : one per clip, as of `training_copies`, to train on besides ("augmented_" tables);
        empty for the clean clips alone.
    unseen : a kind of degradation whose copies are left out.
    """
    clips = corpora.clips()
    embeddings = features.read(representation).at(clips["clip"])
    targets = Targets.of(clips)
    splits = [s for seed in seeds for s in folds.split(clips, "speaker-disjoint", seed)]
    rows = [(split.train, split.validation) for split in splits]
    if copies:
        tables = "+".join(f"augmented_{part}" for part in representation.split("+"))
        embeddings = np.concatenate([embeddings, features.read(tables).at(clips["clip"])])
        targets = Targets(*(torch.cat([labels, labels]) for labels in targets))
        rows = [
            (with_copies(s.train, clips, copies, unseen),
             with_copies(s.validation, clips, copies, unseen))
            for s in splits
        ]  # fmt: skip
    fits = [
        Fit(train, validation, seed * folds.FOLDS + fold)
        for (train, validation), (seed, fold) in zip(rows, _numbers(seeds), strict=True)
    ]
    network, _ = training.fit(torch.from_numpy(embeddings), targets, fits, "fcn", settings)
    return network, splits


def with_copies(
    rows: np.ndarray, clips: pd.DataFrame, copies: Sequence[Copy], unseen: str = ""
) -> np.ndarray:
    """Rows of `clips` and, numbered from len(clips), of their copies.

    Copies of the kind `unseen` are left out, and so is every babble in which somebody speaks
    who is not in `rows`: no network may hear a speaker of another part of its split.
    """
    speaker = dict(zip(clips["clip"], clips["speaker"], strict=True))
    present = set(clips["speaker"].iloc[rows])
    chosen = [
        row
        for row in rows
        if copies[row].kind != unseen and {speaker[v] for v in copies[row].voices} <= present
    ]
    return np.concatenate([rows, len(clips) + np.array(chosen, dtype=int)])


def _numbers(seeds: Sequence[int]) -> list[tuple[int, int]]:
    return [(seed, fold) for seed in seeds for fold in range(folds.FOLDS)]


def unlimited(network: Network) -> Network:
    """The same networks without the limit on their standardised inputs.

    Some columns of a d-vector are 0 for nearly all clean clips; next to so little spread, what
    noise puts there is hundreds of deviations away, and no network has learnt what that means.
    """
    copy = deepcopy(network)
    copy.limit.fill_(torch.inf)
    return copy


def tested(
    network: Network,
    splits: Sequence[Split],
    table: FeatureTable,
    condition: str,
    seeds: Sequence[int] = SEEDS,
) -> Sums:
    """Sums over the copies called "CLIP CONDITION", each judged by networks that never heard it.

    The test speakers of a network are those of its split, though only some of their clips are
    in the table.
    """
    clips = corpora.clips()
    names = pd.Series(table.clips).str.partition(" ")
    here = set(names.loc[names[2] == condition, 0])
    rows = [split.test[clips["clip"].iloc[split.test].isin(here)] for split in splits]
    known = clips[clips["clip"].isin(here)]
    place = pd.Series(range(len(known)), index=known.index)
    embeddings = torch.from_numpy(table.at(known["clip"] + f" {condition}"))
    said = training.predict_each(network, embeddings, [place[r].to_numpy() for r in rows])
    parts = [
        training.out_of_fold(p, clips["clip"].to_numpy()[r], seed, fold)
        for p, r, (seed, fold) in zip(said, rows, _numbers(seeds), strict=True)
    ]
    return evaluation.sums(pd.concat(parts, ignore_index=True), clips)


def tested_elsewhere(
    network: Network,
    embeddings: np.ndarray,
    clips: pd.DataFrame,
    *,
    adapted: bool = False,
) -> Sums:
    """Sums over another corpus; every network of the stack counts as a seed.

    adapted : standardise the input by the other corpus's own mean and deviation, which needs no
        labels but does need a collection of its recordings.
    """
    inputs = torch.from_numpy(embeddings)
    if adapted:
        network = deepcopy(network)
        for model in range(network.models):
            network.standardise(model, inputs, None)
    rows = [np.arange(len(clips))] * network.models
    names = clips["clip"].to_numpy()
    parts = [
        training.out_of_fold(said, names, model, 0)
        for model, said in enumerate(training.predict_each(network, inputs, rows))
    ]
    return evaluation.sums(pd.concat(parts, ignore_index=True), clips)


TRAINED = {
    "clean": "clean clips",
    "unlimited": "clean clips, inputs not limited",
    "augmented": "clean and degraded clips",
    "no babble": "clean and degraded clips, none in babble",
}
"""The networks of the degraded tests, and what tables say they were trained on."""

ELSEWHERE = {
    "constant": "ignores the voice",
    "clean": "clean clips",
    "unlimited": "clean clips, inputs not limited",
    "augmented": "clean and degraded clips",
    "clean, adapted": "clean clips, standardised on EmoDB",
    "augmented, adapted": "clean and degraded clips, standardised on EmoDB",
    "egemaps": "clean clips, with eGeMAPS",
    "egemaps, adapted": "clean clips, with eGeMAPS, standardised on EmoDB",
}
"""The networks of the test on EmoDB."""


def clips_tested() -> pd.DataFrame:
    """The clips that are degraded: about two per speaker and emotion."""
    chosen = pd.read_csv(paths.data() / "results" / "robustness_clips.csv")["clip"]
    clips = corpora.clips()
    return clips[clips["clip"].isin(set(chosen))].reset_index(drop=True)


def degraded_file() -> Path:
    """Sums of every network and condition, named "NETWORK | CONDITION"."""
    return paths.data() / "results" / "robustness.parquet"


def elsewhere_file() -> Path:
    """Sums of every network on EmoDB."""
    return paths.data() / "results" / "robustness_emodb.parquet"


def make(jobs: int | None = None, source: Path | None = None, emodb: Path | None = None) -> None:
    """Compute both tables: minutes for the copies' audio and features, minutes for training.

    source, emodb : folders of the audio, by default `audio/crema-d` and `audio/emodb` in the
        data folder. Where one is missing, its shipped results are kept and that is said.
    """
    source = source or corpora.default_folder()
    emodb = emodb or paths.data() / "audio" / "emodb"
    made_by = _made_by()
    files = [degraded_file(), *([elsewhere_file()] if emodb.is_dir() else [])]
    if all(predictions.provenance(file).get("made_by") == made_by for file in files):
        return
    if not source.is_dir():
        print(f"robustness: no audio in {source}, the shipped results are kept.")
        return
    every, wanted = corpora.clips(), test_copies(clips_tested())
    tables = {part: _work() / f"degraded_{part}.parquet" for part in PARTS}
    embed({copy.name: copy for copy in wanted}, source, tables, jobs)
    copies = training_copies(every)
    embed(
        dict(zip(every["clip"], copies, strict=True)), source,
        {part: features.path(f"augmented_{part}") for part in PARTS}, jobs,
    )  # fmt: skip
    clean, splits = trained("+".join(PARTS))
    networks: dict[str, tuple[Network, list[Split]]] = {
        "clean": (clean, splits),
        "unlimited": (unlimited(clean), splits),
        "augmented": trained("+".join(PARTS), copies),
        "no babble": trained("+".join(PARTS), copies, unseen="babble"),
    }
    table = read_tables(tables.values())
    counts = {
        f"{name} | {label(*condition)}": tested(*network, table, label(*condition))
        for name, network in networks.items()
        for condition in CONDITIONS
    }
    provenance = {"made_by": _made_by(), "software": software("torch", "numpy", "soundfile")}
    evaluation.write_sums(degraded_file(), counts, provenance)
    if not emodb.is_dir():
        print(f"robustness: no EmoDB in {emodb}, the shipped results are kept.")
        return
    evaluation.write_sums(elsewhere_file(), _elsewhere(networks, emodb, jobs), provenance)


def _made_by() -> dict[str, Any]:
    """What decides the results."""
    tables = [*PARTS, *(f"augmented_{part}" for part in PARTS)]
    return {
        "networks": [*TRAINED, *ELSEWHERE],
        "conditions": [label(*condition) for condition in CONDITIONS],
        "clips": hashlib.sha256("".join(clips_tested()["clip"]).encode()).hexdigest(),
        "features": {t: features.read(t).identity() for t in tables if features.available(t)},
        "training_version": training.VERSION,
        "seeds": list(SEEDS),
    }


def read_tables(files: Iterable[Path]) -> FeatureTable:
    """Feature tables of the same clips, wherever they are, side by side."""
    frames = [pd.read_parquet(file) for file in files]
    embeddings = np.hstack([np.stack(frame["embedding"].to_list()) for frame in frames])
    return FeatureTable(frames[0]["clip"].to_numpy(), embeddings, {})


def _elsewhere(
    networks: Mapping[str, tuple[Network, list[Split]]], folder: Path, jobs: int | None
) -> dict[str, Sums]:
    clips = corpora.emodb(folder)
    files = dict(zip(clips["clip"], clips["path"], strict=True))
    tables = {}
    for part in (*PARTS, "egemaps"):
        tables[part] = _work() / f"emodb_{part}.parquet"
        if not tables[part].exists():
            features.extract(part, files, tables[part], jobs=jobs)
    fewer = read_tables([tables[part] for part in PARTS]).at(clips["clip"])
    more = read_tables(tables.values()).at(clips["clip"])
    heard: dict[str, tuple[Network, np.ndarray]] = {
        "clean": (networks["clean"][0], fewer),
        "unlimited": (networks["unlimited"][0], fewer),
        "augmented": (networks["augmented"][0], fewer),
        "egemaps": (trained("+".join(tables))[0], more),
    }
    known = corpora.clips()
    ignoring = evaluation.constant(known, "speaker-disjoint").iloc[[0] * len(clips)]
    counts = {"constant": evaluation.sums(ignoring.assign(clip=clips["clip"].to_numpy()), clips)}
    for name in list(ELSEWHERE)[1:]:
        network, embeddings = heard[name.split(",")[0]]
        counts[name] = tested_elsewhere(network, embeddings, clips, adapted="adapted" in name)
    return counts


def measured(counts: Mapping[str, Sums], networks: Sequence[str]) -> pd.DataFrame:
    """Every condition's measures: `condition`, `trained`, `metric`, `value`, `low`, `high`.

    networks : keys of `TRAINED`.
    """
    rows = []
    for condition in map(lambda c: label(*c), CONDITIONS):
        for network in networks:
            scores = evaluation.score(counts[f"{network} | {condition}"])
            for metric in tables.MEASURES:
                value, low, high = scores.loc[metric]
                rows.append([condition, TRAINED[network], metric, value, low, high])
    columns = ["condition", "trained", "metric", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def costs(counts: Mapping[str, Sums], network: str = "clean", draws: int = DRAWS) -> pd.DataFrame:
    """Every condition minus the clips as recorded, for the same networks; see `planned`."""
    recorded, *others = (label(*condition) for condition in CONDITIONS)
    pairs: dict[tuple[str, ...], tuple[str, str]] = {
        (other,): (f"{network} | {other}", f"{network} | {recorded}") for other in others
    }
    return planned(counts, pairs, draws).rename_axis(["condition", "measure"])


def gains(
    counts: Mapping[str, Sums],
    network: str = "augmented",
    against: str = "clean",
    kinds: Sequence[str] = (),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Networks minus others under the same condition; see `planned`.

    kinds : of degradation, all of them if empty.
    """
    names = [label(kind, amount) for kind, amount in CONDITIONS if not kinds or kind in kinds]
    pairs: dict[tuple[str, ...], tuple[str, str]] = {
        (name,): (f"{network} | {name}", f"{against} | {name}") for name in names
    }
    return planned(counts, pairs, draws).rename_axis(["condition", "measure"])


def elsewhere(counts: Mapping[str, Sums]) -> pd.DataFrame:
    """EmoDB's table: measures with intervals over its ten speakers, a row per network."""
    shown = {
        "emotion_accuracy": ("emotion %", 100, 1), "emotion_uar": ("emotion UAR %", 100, 1),
        "gender_accuracy": ("gender %", 100, 1), "age_rmse": ("age RMSE, years", 1, 1),
        "age_mae": ("age MAE, years", 1, 1),
    }  # fmt: skip
    rows = {}
    for name, heading in ELSEWHERE.items():
        scores = evaluation.score(counts[name])
        rows[heading] = {
            column: _with_interval(factor * scores.loc[metric].to_numpy(), digits)
            for metric, (column, factor, digits) in shown.items()
        }
    return pd.DataFrame(rows).T


def _with_interval(numbers: np.ndarray, digits: int) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


def in_short(
    cost: pd.DataFrame, gain: pd.DataFrame, german: Mapping[str, Sums], remedy: str
) -> str:
    """The chapter's closing sentence, from tables of `costs` and `gains` and EmoDB's results."""
    lost, won = (
        dict(table["difference"].xs("emotion %", level="measure").items()) for table in (cost, gain)
    )
    worst, mildest = min(lost, key=lost.__getitem__), max(lost, key=lost.__getitem__)
    uar = {
        name: 100 * float(evaluation.score(german[name])["value"]["emotion_uar"])
        for name in ("clean", "clean, adapted")
    }
    return (
        f"of the degradations, {worst} costs the most emotion accuracy "
        f"({lost[worst]:+.1f} points) and {mildest} the least ({lost[mildest]:+.1f}); training on "
        f"{TRAINED[remedy]} changes that by {won[worst]:+.1f} and {won[mildest]:+.1f}, and clips "
        f"as recorded by {won['as recorded']:+.1f}; on German it never heard, the network reaches "
        f"a mean recall of {uar['clean']:.0f} %, and {uar['clean, adapted']:.0f} % once its input "
        "is standardised on the new recordings."
    )
