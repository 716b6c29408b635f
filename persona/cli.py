"""The `persona` command: corpus, features, training, prediction."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from persona import __version__
from persona.errors import PersonaError
from persona.representations import NAMES, OFFLINE

SHOWN = 20
"""Skipped clips that are listed one by one."""

CHOICES = tuple(dict.fromkeys((*NAMES, *OFFLINE)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; what a user can put right is one sentence on stderr and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except PersonaError as error:
        print(f"persona: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("persona: stopped; run it again to go on where it was.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "persona", description="Hear emotion, gender and age in a voice."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_corpus(commands)
    _add_extract(commands)
    _add_weights(commands)
    _add_train(commands)
    _add_predict(commands)
    return parser


def _add_corpus(commands: argparse._SubParsersAction) -> None:
    corpus = commands.add_parser("corpus", help="download, import, check and describe CREMA-D")
    actions = corpus.add_subparsers(required=True, metavar="ACTION")

    fetch = actions.add_parser("fetch", help="download every clip, or import a local copy")
    fetch.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="import WAV or FLAC files found in DIR instead of downloading",
    )
    _add_corpus_folder(fetch)
    fetch.set_defaults(run=_fetch)

    verify = actions.add_parser("verify", help="check every clip by SHA-256")
    _add_corpus_folder(verify)
    verify.set_defaults(run=_verify)

    oddities = actions.add_parser("oddities", help="list clips that no label can describe")
    oddities.set_defaults(run=_oddities)

    table = actions.add_parser("table", help="build the table of clips from the official files")
    table.add_argument("official", type=Path, help="checkout of CheyneyComputerScience/CREMA-D")
    table.add_argument("--audio", type=Path, help="folder of the WAV files, to find silent ones")
    table.add_argument(
        "--out", type=Path, metavar="DIR", help="default: crema-d in the data folder"
    )
    table.set_defaults(run=_table)


def _add_corpus_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus-dir",
        type=Path,
        metavar="DIR",
        help="folder of the WAV files (default: audio/crema-d in the data folder)",
    )


def _add_extract(commands: argparse._SubParsersAction) -> None:
    extract = commands.add_parser("extract", help="embed the corpus into feature tables")
    extract.add_argument("--representation", nargs="+", required=True, choices=CHOICES)
    extract.add_argument("--pooling", help="of mfcc: mean, mean+std or mean+std+delta")
    extract.add_argument("--revision", help="of the weights of wavlm or xvector on the hub")
    extract.add_argument("--name", help="of the table (default: the representation's)")
    extract.add_argument("--jobs", type=int, help="processes (default: one per core)")
    _add_corpus_folder(extract)
    extract.set_defaults(run=_extract)


def _add_weights(commands: argparse._SubParsersAction) -> None:
    weights = commands.add_parser("weights", help="download the weights of a representation")
    weights.add_argument("representation", choices=NAMES)
    weights.add_argument("--revision", help="branch, tag or commit on the hub")
    weights.set_defaults(run=_weights)


def _add_train(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser(
        "train", help="make a model: cross-validate by speaker, train on every clip, write a card"
    )
    train.add_argument(
        "--representation",
        nargs="+",
        metavar="NAME",
        help="feature tables, joined (default: those of the model that ships)",
    )
    train.add_argument(
        "--out", type=Path, metavar="DIR", help="default: in models of the data folder"
    )
    train.add_argument("--seeds", type=int, default=5, help="networks in the ensemble (default: 5)")
    train.add_argument("--architecture", choices=("fcn", "cnn"), default="fcn")
    train.set_defaults(run=_train)


def _add_predict(commands: argparse._SubParsersAction) -> None:
    predict = commands.add_parser("predict", help="hear emotion, gender and age in recordings")
    predict.add_argument("files", nargs="+", metavar="FILE|DIR", help="audio, or folders of it")
    predict.add_argument("--model", metavar="DIR", help="folder, or name on the Hugging Face hub")
    predict.add_argument("--revision", help="of a model on the hub")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything, with the timeline")
    form.add_argument("--csv", action="store_true", help="one row per file")
    predict.set_defaults(run=_predict)


def _fetch(options: argparse.Namespace) -> int:
    from persona import corpora

    if options.source:
        renamed = corpora.import_copy(options.source, options.corpus_dir)
        for clip, name in renamed.items():
            print(f"{name} is {clip}: renamed")
    else:
        corpora.fetch(options.corpus_dir)
    print(f"CREMA-D is complete in {options.corpus_dir or corpora.default_folder()}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from persona import corpora

    folder = corpora.locate(options.corpus_dir)
    print(f"Every clip in {folder} is the official one.")
    return 0


def _oddities(options: argparse.Namespace) -> int:
    from persona import corpora

    print(corpora.oddities().to_string(index=False))
    return 0


def _table(options: argparse.Namespace) -> int:
    from persona import corpora, paths

    out = options.out or paths.data() / "crema-d"
    table = corpora.build_table(options.official, out, audio=options.audio)
    print(f"{len(table)} clips in {out / 'clips.csv'}")
    return 0


def _extract(options: argparse.Namespace) -> int:
    from persona import corpora, features

    if options.name and len(options.representation) > 1:
        raise PersonaError("--name goes with one representation: extract them one by one.")
    folder = options.corpus_dir or corpora.default_folder()
    clips = corpora.clips("all")["clip"]
    unusable = {problem.clip: problem.reason for problem in corpora.verify(folder)}
    if len(unusable) == len(clips):
        corpora.locate(folder)  # says how to get the corpus
    files = {clip: folder / f"{clip}.wav" for clip in clips if clip not in unusable}
    given = {"pooling": options.pooling, "revision": options.revision}
    parameters = {name: value for name, value in given.items() if value}
    for representation in options.representation:
        out = features.path(options.name or representation)
        unusable |= features.extract(representation, files, out, jobs=options.jobs, **parameters)
        print(f"{representation}: {out}")
    for clip, problem in list(unusable.items())[:SHOWN]:
        print(f"skipped {clip}: {problem}", file=sys.stderr)
    if len(unusable) > SHOWN:
        print(f"skipped {len(unusable) - SHOWN:,} more", file=sys.stderr)
    return int(bool(unusable))


def _weights(options: argparse.Namespace) -> int:
    from persona import representations

    parameters = {"revision": options.revision} if options.revision else {}
    loaded = representations.load(options.representation, **parameters)
    for key, value in loaded.provenance().items():
        print(f"{key}: {value}")
    return 0


def _train(options: argparse.Namespace) -> int:
    from persona import release

    if options.seeds < 1:
        raise PersonaError("--seeds has to be 1 or more.")
    tables = options.representation or ()
    out = options.out or release.out_folder(tables)
    if tables:
        trained = release.train(tables, out, architecture=options.architecture, seeds=options.seeds)
    else:
        trained = release.train_default(out)
    print(f"{out}, heard on speakers it was not trained on:")
    for metric, scored in trained.card["evaluation"]["metrics"].items():
        print(f"  {metric:16} {scored['value']:8.3f}  [{scored['low']:.3f}, {scored['high']:.3f}]")
    return 0


def _predict(options: argparse.Namespace) -> int:
    from persona import report

    return report.predict(
        options.files,
        model=options.model,
        revision=options.revision,
        form="json" if options.json else "csv" if options.csv else "table",
    )


if __name__ == "__main__":
    sys.exit(main())
