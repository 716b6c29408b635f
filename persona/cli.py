"""The `persona` command: corpus, features, training, prediction."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from persona import __version__
from persona.errors import PersonaError
from persona.representations import NAMES


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
    extract.add_argument("--representation", nargs="+", required=True, choices=NAMES)
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
    for clip, problem in unusable.items():
        print(f"skipped {clip}: {problem}", file=sys.stderr)
    return int(bool(unusable))


def _weights(options: argparse.Namespace) -> int:
    from persona import representations

    parameters = {"revision": options.revision} if options.revision else {}
    loaded = representations.load(options.representation, **parameters)
    for key, value in loaded.provenance().items():
        print(f"{key}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
