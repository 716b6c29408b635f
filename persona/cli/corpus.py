"""`persona corpus`: download, import, list, check and describe corpora."""

from pathlib import Path

import click

from persona.cli.options import FOLDER, JOBS, OUT_FILE, PATH, SHOWN


@click.group()
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
@click.option("--out", type=OUT_FILE, metavar="CSV", help="The table (default: NAME.csv).")
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
@click.option("--out", type=OUT_FILE, metavar="HTML", help="The page.")
@JOBS
def check(table: Path, folder: Path | None, out: Path | None, jobs: int | None) -> int:
    """Check one's own recordings: files, copies, labels, balance, shortcuts; as a page, too."""
    from persona import corpora, features
    from persona.keeping import store
    from persona.own import check as checks
    from persona.own import train as own

    corpus = corpora.load(table, **({"folder": folder} if folder else {}))
    clips, measured = corpus.clips(), checks.measure(corpus, jobs)
    embeddings = None
    if not measured["problem"].any():
        own.embed(corpus, jobs)
        embeddings = features.read(own.DEFAULT, own.called(corpus)).at(clips["clip"])
    found = checks.findings(clips, measured, embeddings)
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
