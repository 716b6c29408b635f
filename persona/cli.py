"""The `persona` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from persona import __version__
from persona.errors import PersonaError

SHOWN = 20
"""Skipped clips that are listed one by one."""

app = typer.Typer(
    help="Emotion, gender and age from a voice.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
corpus_app = typer.Typer(help="Download, import, check and describe corpora.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")

Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Folder of the corpus's audio.")
]
Jobs = Annotated[int | None, typer.Option(help="Workers (default: one per core).", min=1)]
Backend = Annotated[str, typer.Option(help="loky (this machine) or dask (a cluster).")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of the dask scheduler, e.g. tcp://10.0.0.1:8786.")
]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; what a user can put right is one sentence on stderr and exit code 1."""
    try:
        code = app(arguments, standalone_mode=False) or 0
        if code == 130:  # typer's own word for Ctrl-C
            raise KeyboardInterrupt
        return code
    except typer.Exit as end:
        return end.exit_code
    except PersonaError as error:
        print(f"persona: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        print("persona: stopped; run it again to go on where it was.", file=sys.stderr)
        return 130
    except Exception as error:
        # What typer says of a wrong word on the command line; anything else is a fault.
        if not hasattr(error, "format_message"):
            raise
        print(f"persona: {error.format_message()}", file=sys.stderr)
        return 2


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@corpus_app.command()
def fetch(
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Import a copy found there, WAV or FLAC."),
    ] = None,
    folder: Folder = None,
) -> None:
    """Download every clip of CREMA-D (0.6 GB), or import a copy; each is checked by SHA-256."""
    from persona import corpora

    if source:
        for name, clip in corpora.import_copy(source, folder).items():
            print(f"{name} is {clip}: renamed")
    else:
        corpora.fetch(folder)
    print(f"CREMA-D is complete in {folder or corpora.audio_folder('crema-d')}")


@corpus_app.command()
def verify(folder: Folder = None) -> None:
    """Check every clip of CREMA-D by SHA-256."""
    from persona import corpora

    print(f"Every clip in {corpora.locate(folder)} is the official one.")


@corpus_app.command()
def oddities() -> None:
    """List clips of CREMA-D that no label can describe."""
    from persona import corpora

    print(corpora.oddities().to_string(index=False))


@app.command()
def extract(
    representation: Annotated[str, typer.Argument(help="mfcc, dvector, campplus, wavlm ...")],
    corpus: Annotated[str, typer.Option(help="Name of a corpus, or a CSV of clips.")] = "crema-d",
    name: Annotated[
        str | None, typer.Option(help="Of the table (default: REPRESENTATION).")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer, or several joined by +.")] = None,
    pooling: Annotated[str | None, typer.Option(help="Over time, e.g. mean or mean+std.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of weights on the hub.")] = None,
    folder: Folder = None,
    jobs: Jobs = None,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
) -> None:
    """Embed a corpus into a feature table. Goes on where an interrupted run stopped."""
    from persona import corpora, features, representations

    chosen = corpora.load(corpus, **({"folder": folder} if folder else {}))
    representations.class_of(representation)
    unusable = {problem.clip: problem.reason for problem in chosen.problems()}
    clips = [clip for clip in chosen.clips()["clip"] if clip not in unusable]
    print(f"{len(clips):,} of {len(clips) + len(unusable):,} clips of {chosen.title} are here.")
    _list(unusable)
    given = {"layer": layer, "pooling": pooling, "revision": revision}
    file, skipped = features.extract(
        chosen, representation, name=name, clips=clips, jobs=jobs, backend=backend,
        scheduler=scheduler, **{key: value for key, value in given.items() if value},
    )  # fmt: skip
    _list(skipped)
    print(f"{len(clips) - len(skipped):,} embeddings in {file}")
    raise typer.Exit(int(bool(unusable or skipped)))


def _list(skipped: dict[str, str]) -> None:
    for clip, problem in list(skipped.items())[:SHOWN]:
        print(f"skipped {clip}: {problem}", file=sys.stderr)
    if len(skipped) > SHOWN:
        print(f"skipped {len(skipped) - SHOWN:,} more", file=sys.stderr)


@app.command()
def features(corpus: Annotated[str, typer.Argument()] = "crema-d") -> None:
    """List the feature tables of a corpus, and what made them."""
    from persona import features as tables
    from persona import store

    for name in tables.listed(corpus):
        made_by = store.read_provenance(tables.path(name, corpus))
        clips = made_by.get("corpus", {}).get("clips", "?")
        print(f"{name:24} {clips:>6} clips  {made_by.get('representation')}")


@app.command()
def weights(
    representation: Annotated[str, typer.Argument()],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
) -> None:
    """Download the published weights of a representation, and say what they are."""
    from persona import representations

    given = {"revision": revision} if revision else {}
    for key, value in representations.load(representation, **given).provenance().items():
        print(f"{key}: {value}")


@app.command()
def train(
    representation: Annotated[
        list[str] | None, typer.Argument(help="Feature tables, joined (default: the app's).")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the model.")] = None,
    networks: Annotated[int, typer.Option(help="In the ensemble.", min=1)] = 3,
    jobs: Jobs = None,
) -> None:
    """Make a model: cross-validate by speaker, train on every clip, write its card."""
    from persona import store
    from persona.app import release
    from persona.study import best

    if representation:
        experiment = best.recipe("+".join(representation), networks=networks)
    else:
        experiment = best.shipped()
    folder = out or store.made() / "models" / ("+".join(representation or ()) or "default")
    card = release.train(experiment, folder, jobs=jobs).card
    print(f"{folder}, tested on speakers it was not trained on:")
    for metric, scored in card["evaluation"]["metrics"].items():
        print(f"  {metric:16} {scored['value']:8.3f}  [{scored['low']:.3f}, {scored['high']:.3f}]")


@app.command()
def predict(
    files: Annotated[list[str], typer.Argument(metavar="FILE|DIR|-", help="Audio, or folders.")],
    model: Annotated[str | None, typer.Option(help="Folder, or name on the hub.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a model on the hub.")] = None,
    at_least: Annotated[
        float, typer.Option(metavar="P", help="Name no emotion less probable, e.g. 0.6.")
    ] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="One list, with the timeline.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One object per line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row per file.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append to it what it does not hold yet.")
    ] = None,
    textgrid: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write timelines for Praat and ELAN.")
    ] = None,
) -> None:
    """Predict emotion, gender and age of recordings."""
    from persona.app import printing

    forms = [name for name, asked in (("json", json), ("jsonl", jsonl), ("csv", csv)) if asked]
    if len(forms) > 1:
        raise PersonaError("Choose one of --json, --jsonl and --csv.")
    form = forms[0] if forms else "table"
    code = printing.predict(
        files, model=model, revision=revision, form=form, at_least=at_least, resume=resume,
        textgrid=textgrid,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8000,
    model: Annotated[str | None, typer.Option(help="Folder, or name on the hub.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a model on the hub.")] = None,
    max_mb: Annotated[float, typer.Option(help="Of a request, all its files together.")] = 50,
    max_seconds: Annotated[float, typer.Option(help="Of a recording.")] = 600,
    requests: Annotated[int, typer.Option(help="In hand at once; more get 503.", min=1)] = 32,
    patience: Annotated[float, typer.Option(help="Seconds a request may take to arrive.")] = 60,
    page: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the page at /.", exists=True)
    ] = None,
) -> None:
    """Answer recordings over HTTP, for this machine only unless --host says otherwise."""
    try:
        from persona.app import http
    except ModuleNotFoundError as error:
        raise PersonaError(
            f"`persona serve` needs {error.name}: pip install 'persona-voice[serve]'."
        ) from error
    from persona.app.predictor import Predictor

    limits = http.Limits(max_mb, max_seconds, requests, patience)
    app = http.application(Predictor.load(model, revision=revision), limits, page)
    http.serve(app, host, port, patience)


@app.command()
def ship() -> None:
    """In a checkout: make the tables, results and model made here the ones that ship."""
    from persona.study import shipping

    for file in shipping.ship():
        print(file)


if __name__ == "__main__":
    sys.exit(main())
