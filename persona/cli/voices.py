"""`persona voice`: people's usual voices, which emotion is read against."""

from pathlib import Path

import click

from persona.cli.options import MODEL, OUT_FILE, REVISION, complain


@click.group()
def voice() -> None:
    """People's usual voices, against which emotion is read. They stay on this machine."""


@voice.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR...")
@click.option("--plain", is_flag=True, help="Every file is plain speech, without a feeling.")
@MODEL
@REVISION
def learn(
    name: str, files: tuple[str, ...], plain: bool, model: str | None, revision: str | None
) -> int:
    """Learn NAME's usual voice from recordings in which nobody else speaks.

    A few plain sentences are best. Of other recordings the mix of feelings is estimated.
    """
    from persona.audio import folders
    from persona.errors import AudioError
    from persona.model import enrolment
    from persona.model.predictor import Predictor
    from persona.people import kept

    failed = []

    def skipped(source: object, error: AudioError) -> None:
        failed.append(source)
        complain(f"skipped: {error}")

    found = folders.find(files)
    for sentence in found.left_out:
        complain(sentence)
    learnt = enrolment.learn(
        Predictor.load(model, revision=revision), found.files, plain=plain, skipped=skipped
    )
    file = kept.keep(name, learnt)
    print(f"{name}: {learnt.phrases} different phrases, kept in {file}")
    return int(bool(failed))


@voice.command("list")
def listed() -> None:
    """List the voices that are kept here."""
    from persona.people import kept

    for name in kept.names():
        found = kept.load(name)
        print(f"{name:24} {found.phrases:>4} phrases{', plain' if found.plain else ''}")


@voice.command()
@click.argument("name")
def forget(name: str) -> None:
    """Delete a voice for good."""
    from persona.people import kept

    kept.forget(name)
    print(f"{name} is forgotten.")


@voice.command()
@click.argument("name")
@click.argument("file", type=OUT_FILE)
def export(name: str, file: Path) -> None:
    """Copy a voice to a FILE that ends in .voice, which `--voice FILE` reads elsewhere."""
    from persona.people import kept

    kept.export(name, file)
