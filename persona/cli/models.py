"""`persona train`, `evaluate` and `audit`: models of one's own, and what a result is worth."""

from pathlib import Path
from typing import Any

import click

from persona.cli.options import FOLDER, JOBS, MODEL, OUT_FILE, OUT_FOLDER, PATH, named
from persona.errors import PersonaError


@click.command()
@click.argument("representation", nargs=-1)
@click.option("--out", type=OUT_FOLDER, metavar="DIR", help="Folder of the model.")
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

    REPRESENTATION: feature tables that are joined (default: those of the model that ships);
    module:Class of one's own, or a file of vectors (.npz, .parquet), too.
    """
    from dataclasses import replace

    from persona.keeping import store
    from persona.model import recipe as best
    from persona.model import release
    from persona.own import train as own

    representation = tuple(map(named, representation))
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


@click.command()
@click.option("--corpus", required=True, help="Name of a corpus, or a CSV of clips.")
@MODEL
@click.option("--map", "label_map", type=PATH, metavar="JSON", help='{"label": "class" or null}')
@FOLDER
@click.option("--out", type=OUT_FILE, metavar="JSON", help="Write the report there too.")
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
    from persona import corpora
    from persona.keeping import store
    from persona.model import saved as models
    from persona.model.predictor import Predictor
    from persona.own import evaluate as reports

    mapping = reports.read_map(label_map) if label_map else {}
    given: dict[str, Any] = {"folder": folder} if folder else {}
    if corpora.is_table(corpus):
        given["meant"] = tuple(mapping)
    chosen = corpora.load(corpus, **given)
    report = reports.evaluate(Predictor(models.load(model)), chosen, mapping, jobs=jobs)
    print(*reports.lines(report), sep="\n")
    if out:
        store.write_json(out, report)


@click.command()
@click.argument("clips", type=PATH, metavar="CSV")
@click.option("--split", required=True, metavar="COLUMN", help="Fold numbers, or train and test.")
@FOLDER
@click.option("--out", type=OUT_FILE, metavar="HTML", help="Write it as a page, too.")
@JOBS
def audit(clips: Path, split: str, folder: Path | None, out: Path | None, jobs: int | None) -> None:
    """Tell how much of what a split reports is memory of who is speaking.

    Columns emotion_predicted, gender_predicted and age_predicted, if any, are what a model
    predicted of the clips that the split tests.
    """
    from persona import corpora, features
    from persona.keeping import store
    from persona.own import audit as audits
    from persona.own import train as own

    corpus = corpora.load(clips, **({"folder": folder} if folder else {}))
    audits.splits(corpus.clips(), split)  # what is wrong with it is said before anything is done
    own.extract(corpus, ["campplus"], jobs)
    embeddings = features.read("campplus", str(clips)).at(corpus.clips()["clip"])
    found = audits.audit(corpus.clips(), embeddings, split)
    print(found.page())
    if out:
        store.write_bytes(out, found.html(f"{corpus.title}, split by {split}").encode())
