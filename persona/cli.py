"""The `persona` command."""

import sys
from pathlib import Path

import click

from persona import __version__
from persona.errors import PersonaError

SHOWN = 20
"""Skipped clips that are listed one by one."""

PATH = click.Path(path_type=Path)
FOUND = click.Path(exists=True, file_okay=False, path_type=Path)
FOLDER = click.option("--folder", type=PATH, metavar="DIR", help="Folder of the corpus's audio.")
JOBS = click.option("--jobs", type=click.IntRange(1), help="Workers (default: one per core).")
MODEL = click.option("--model", help="Folder, or name on the hub (default: the one that ships).")
REVISION = click.option("--revision", help="Branch, tag or commit on the hub.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; what a user can put right is one sentence on stderr and exit code 1."""
    try:
        return app.main(arguments, "persona", standalone_mode=False) or 0
    except PersonaError as error:
        print(f"persona: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if "persona" in str(error.name):
            raise
        extra = "serve" if error.name in ("fastapi", "python_multipart", "uvicorn") else "study"
        print(
            f"persona: this needs {error.name}, which is not installed: "
            f"pip install 'persona-voice[{extra}]'.",
            file=sys.stderr,
        )
        return 1
    except click.Abort:
        print("persona: stopped; run it again to go on where it was.", file=sys.stderr)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        print(f"persona: {error.format_message()}", file=sys.stderr)
        return 2


@click.group(context_settings={"show_default": True})
@click.version_option(__version__, message="%(version)s")
def app() -> None:
    """Emotion, gender and age from a voice."""


@app.group()
def corpus() -> None:
    """Download, import, check and describe corpora."""


@corpus.command()
@click.option("--from", "source", type=PATH, metavar="DIR", help="Import a copy found there.")
@FOLDER
def fetch(source: Path | None, folder: Path | None) -> None:
    """Download every clip of CREMA-D (0.6 GB), or import a copy; each is checked by SHA-256."""
    from persona import corpora

    if source:
        for name, clip in corpora.import_copy(source, folder).items():
            print(f"{name} is {clip}: renamed")
    else:
        corpora.fetch(folder)
    print(f"CREMA-D is complete in {folder or corpora.audio_folder('crema-d')}")


@corpus.command()
@FOLDER
def verify(folder: Path | None) -> None:
    """Check every clip of CREMA-D by SHA-256."""
    from persona import corpora

    print(f"Every clip in {corpora.locate(folder)} is the official one.")


@corpus.command()
def oddities() -> None:
    """List clips of CREMA-D that no label can describe."""
    from persona import corpora

    print(corpora.oddities().to_string(index=False))


@corpus.command()
@click.argument("name")
@click.argument("folder", type=PATH)
@click.option("--out", type=PATH, metavar="CSV", help="The table (default: NAME.csv).")
def table(name: str, folder: Path, out: Path | None) -> None:
    """List the clips of a published corpus in a table, from the FOLDER that holds it.

    NAME: common-voice, emodb, emovo, emozionalmente, esd, msp-podcast, nemo, ravdess, tess, timit
    or voxceleb.
    """
    from persona.corpora import layouts

    print(*layouts.write(name, folder, out or Path(f"{name}.csv")), sep="\n")


@corpus.command()
@click.argument("table", type=PATH, metavar="CSV")
@FOLDER
@click.option("--out", type=PATH, metavar="HTML", help="The page.")
@JOBS
def check(table: Path, folder: Path | None, out: Path | None, jobs: int | None) -> int:
    """Check one's own recordings: files, copies, labels, balance, shortcuts; as a page, too."""
    from persona import corpora, features, store
    from persona.app import own
    from persona.study import check as checks

    corpus = corpora.load(table, **({"folder": folder} if folder else {}))
    clips, measured = corpus.clips(), checks.measure(corpus, jobs)
    name = own.DEFAULT
    known = features.available(name, str(table)) and features.read(name, str(table))
    whole = known and set(clips["clip"]) <= set(known.clips)
    found = checks.findings(clips, measured, known.at(clips["clip"]) if known and whole else None)
    for one in found:
        print(f"{'! ' if one.wrong else ''}{one.title}: {one.words}")
        for row in one.rows[:SHOWN]:
            print(f"    {row}")
    page = out or store.made() / "reports" / f"{corpus.name}.html"
    store.write_bytes(
        page, checks.page(corpus.title, found, checks.joined(clips, measured)).encode()
    )
    print(f"The page with pictures: {page}")
    return int(any(one.wrong for one in found))


@app.command()
@click.argument("representation")
@click.option("--corpus", default="crema-d", help="Name of a corpus, or a CSV of clips.")
@click.option("--name", help="Of the table (default: REPRESENTATION).")
@click.option("--layer", help="Layer, or several joined by +.")
@click.option("--pooling", help="Over time, e.g. mean or mean+std.")
@REVISION
@FOLDER
@JOBS
@click.option("--backend", default="loky", help="loky (this machine) or dask (a cluster).")
@click.option("--scheduler", help="Address of the dask scheduler, e.g. tcp://10.0.0.1:8786.")
def extract(
    representation: str,
    corpus: str,
    name: str | None,
    folder: Path | None,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
    **given: str | None,
) -> int:
    """Embed a corpus into a feature table. Goes on where an interrupted run stopped."""
    from persona import corpora, features, representations

    chosen = corpora.load(corpus, **({"folder": folder} if folder else {}))
    representations.class_of(representation)
    unusable = {problem.clip: problem.reason for problem in chosen.problems()}
    clips = [clip for clip in chosen.clips()["clip"] if clip not in unusable]
    print(f"{len(clips):,} of {len(clips) + len(unusable):,} clips of {chosen.title} are here.")
    _list(unusable)
    file, skipped = features.extract(
        chosen, representation, name=name, clips=clips, jobs=jobs, backend=backend,
        scheduler=scheduler, **{key: value for key, value in given.items() if value},
    )  # fmt: skip
    _list(skipped)
    print(f"{len(clips) - len(skipped):,} embeddings in {file}")
    return int(bool(unusable or skipped))


def _list(skipped: dict[str, str]) -> None:
    for clip, problem in list(skipped.items())[:SHOWN]:
        print(f"skipped {clip}: {problem}", file=sys.stderr)
    if len(skipped) > SHOWN:
        print(f"skipped {len(skipped) - SHOWN:,} more", file=sys.stderr)


@app.command()
@click.argument("corpus", default="crema-d")
def features(corpus: str) -> None:
    """List the feature tables of a corpus, and what made them."""
    from persona import features as tables
    from persona import store

    for name in tables.listed(corpus):
        made_by = store.read_provenance(tables.path(name, corpus))
        clips = made_by.get("corpus", {}).get("clips", "?")
        print(f"{name:24} {clips:>6} clips  {made_by.get('representation')}")


@app.command()
@click.argument("representation")
@REVISION
def weights(representation: str, revision: str | None) -> None:
    """Download the published weights of a representation, and say what they are."""
    from persona import representations

    given = {"revision": revision} if revision else {}
    for key, value in representations.load(representation, **given).provenance().items():
        print(f"{key}: {value}")


@app.command()
@click.argument("representation", nargs=-1)
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the model.")
@click.option("--networks", type=click.IntRange(1), default=3, help="In the ensemble.")
@click.option(
    "--corpus", type=PATH, metavar="CSV", help="Of one's own recordings: file, speaker, ..."
)
@FOLDER
@click.option("--allow-shared-speakers", "shared", is_flag=True, help="Test on known speakers.")
@click.option("--from", "start", metavar="MODEL", help="Go on from it; `default` ships.")
@JOBS
def train(
    representation: tuple[str, ...],
    out: Path | None,
    networks: int,
    corpus: Path | None,
    folder: Path | None,
    shared: bool,
    start: str | None,
    jobs: int | None,
) -> None:
    """Make a model: cross-validate by speaker, train on every clip, write its card.

    REPRESENTATION: feature tables that are joined (default: those of the model that ships).
    """
    from dataclasses import replace

    from persona import store
    from persona.app import own, release
    from persona.study import best

    if corpus:
        folder_out = out or store.made() / "models" / corpus.stem
        model = own.train(
            corpus, folder_out, replace(best.RECIPE, networks=networks), folder=folder,
            representation=list(representation) or [own.DEFAULT], shared_speakers=shared,
            start=start, jobs=jobs,
        )  # fmt: skip
        print(*own.lines(model.card), *model.card["limits"], sep="\n")
        print(f"The model is in {folder_out}: persona predict talk.wav --model {folder_out}")
        return
    if folder or shared or start:
        raise PersonaError("--folder, --from and --allow-shared-speakers go with --corpus.")
    if representation:
        experiment = best.recipe("+".join(representation), networks=networks)
    else:
        experiment = best.shipped()
    folder_out = out or store.made() / "models" / ("+".join(representation) or "default")
    card = release.train(experiment, folder_out, jobs=jobs).card
    print(f"{folder_out}, tested on speakers it was not trained on:", *own.lines(card), sep="\n")


@app.command()
@click.option("--corpus", required=True, help="Name of a corpus, or a CSV of clips.")
@MODEL
@click.option("--map", "label_map", type=PATH, metavar="JSON", help='{"label": "class" or null}')
@FOLDER
@click.option("--out", type=PATH, metavar="JSON", help="Write the report there too.")
@JOBS
def evaluate(
    corpus: str,
    model: str | None,
    label_map: Path | None,
    folder: Path | None,
    out: Path | None,
    jobs: int | None,
) -> None:
    """Test a model on a corpus that it was not trained on: what its card says, of other people."""
    from persona import corpora, store
    from persona.app import evaluate as reports
    from persona.app import model as models
    from persona.app.predictor import Predictor

    mapping = reports.read_map(label_map) if label_map else {}
    chosen = corpora.load(corpus, **({"folder": folder} if folder else {}))
    report = reports.evaluate(Predictor(models.load(model)), chosen, mapping, jobs=jobs)
    print(*reports.lines(report), sep="\n")
    if out:
        store.write_json(out, report)


@app.command()
@click.argument("clips", type=PATH, metavar="CSV")
@click.option("--split", required=True, metavar="COLUMN", help="Fold numbers, or train and test.")
@FOLDER
@click.option("--out", type=PATH, metavar="HTML", help="Write it as a page, too.")
@JOBS
def audit(clips: Path, split: str, folder: Path | None, out: Path | None, jobs: int | None) -> None:
    """Tell how much of what a split reports is memory of who is speaking.

    Columns emotion_predicted, gender_predicted and age_predicted, if any, are what a model
    predicted of the clips that the split tests.
    """
    from persona import corpora, features, store
    from persona.app import own
    from persona.study import audit as audits

    corpus = corpora.load(clips, **({"folder": folder} if folder else {}))
    audits.splits(corpus.clips(), split)  # what is wrong with it is said before anything is done
    own.extract(corpus, ["campplus"], jobs)
    embeddings = features.read("campplus", str(clips)).at(corpus.clips()["clip"])
    found = audits.audit(corpus.clips(), embeddings, split)
    print(found.page())
    if out:
        store.write_bytes(out, found.html(f"{corpus.title}, split by {split}").encode())


@app.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR|-")
@MODEL
@REVISION
@click.option("--at-least", default=0.0, metavar="P", help="Name no emotion less probable.")
@click.option("--json", is_flag=True, help="One list, with the timeline.")
@click.option("--jsonl", is_flag=True, help="One object per line.")
@click.option("--csv", is_flag=True, help="One row per file.")
@click.option("--resume", type=PATH, metavar="FILE", help="Append to it what it does not hold yet.")
@click.option("--textgrid", type=PATH, metavar="DIR", help="Write timelines for Praat and ELAN.")
def predict(
    files: tuple[str, ...],
    model: str | None,
    revision: str | None,
    at_least: float,
    resume: Path | None,
    textgrid: Path | None,
    **asked: bool,
) -> int:
    """Predict emotion, gender and age of recordings."""
    from persona.app import printing

    forms = [form for form in asked if asked[form]]
    if len(forms) > 1:
        raise PersonaError("Choose one of --json, --jsonl and --csv.")
    form = forms[0] if forms else "table"
    return printing.predict(
        files, model=model, revision=revision, form=form, at_least=at_least, resume=resume,
        textgrid=textgrid,
    )  # fmt: skip


@app.command()
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0: any that is free.")
@MODEL
@REVISION
@click.option("--max-mb", default=50.0, help="Of a request, all its files together.")
@click.option("--max-seconds", default=600.0, help="Of a recording.")
@click.option("--requests", type=click.IntRange(1), default=32, help="At once; more get 503.")
@click.option("--patience", default=60.0, help="Seconds a request may take to arrive.")
@click.option("--page", type=FOUND, metavar="DIR", help="Folder of the page at /.")
def serve(
    host: str,
    port: int,
    model: str | None,
    revision: str | None,
    max_mb: float,
    max_seconds: float,
    requests: int,
    patience: float,
    page: Path | None,
) -> None:
    """Answer recordings over HTTP, for this machine only unless --host says otherwise."""
    from persona.app import http
    from persona.app.predictor import Predictor

    limits = http.Limits(max_mb, max_seconds, requests, patience)
    app = http.application(Predictor.load(model, revision=revision), limits, page)
    http.serve(app, host, port, patience)


@app.command()
@click.argument("folder", type=PATH)
@click.option("--runtime", type=PATH, required=True, help="dist of npm's onnxruntime-web.")
@MODEL
def page(folder: Path, runtime: Path, model: str | None) -> None:
    """Write the page that predicts in the browser, for any static host."""
    from persona.app import page

    loaded = page.write(folder, runtime, model)
    print(f"{folder}/index.html: its visitor loads {loaded / 1e6:.1f} MB, once.")


@app.command()
def ship() -> None:
    """In a checkout: make the tables, results and model made here the ones that ship."""
    from persona.study import shipping

    for file in shipping.ship():
        print(file)


if __name__ == "__main__":
    sys.exit(main())
