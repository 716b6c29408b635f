"""The `persona` command."""

import errno
import logging
import sys
from pathlib import Path
from typing import Any

import click

from persona import __version__
from persona.cli import voices
from persona.cli.corpus import corpus
from persona.cli.models import audit, evaluate, train
from persona.cli.options import (
    CLOSED,
    FOLDER,
    FOUND,
    JOBS,
    MODEL,
    PATH,
    REVISION,
    SHOWN,
    complain,
    discard,
    named,
)
from persona.errors import PersonaError
from persona.model.answers import BY

_UNWRITABLE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EBADF, errno.EIO, errno.EROFS)
_EXTRAS = {"fastapi": "serve", "python_multipart": "serve", "uvicorn": "serve", "mcp": "mcp"}
"""Where what is missing comes from, if not from the extra `study`."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; what a user can put right is one sentence on stderr and exit code 1."""
    try:
        code = _run(arguments)
        if sys.stdout:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        discard(sys.stdout)
        return CLOSED
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        what = error.filename or "The output"
        complain(f"persona: {what} cannot be written ({error.strerror}): make room there.")
        discard(sys.stdout)
        return 1
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        complain(
            "persona: this machine lets the command have no further thread: end other programs, or "
            "raise the limit (ulimit -u)."
        )
        return 1


def _run(arguments: list[str] | None) -> int:
    try:
        return app.main(arguments, "persona", standalone_mode=False) or 0
    except PersonaError as error:
        complain(f"persona: {error}")
        return 1
    except ModuleNotFoundError as error:
        if "persona" in str(error.name):
            raise
        extra = _EXTRAS.get(str(error.name).partition(".")[0], "study")
        complain(
            f"persona: this needs {error.name}, which is not installed: "
            f"pip install 'persona-voice[{extra}]'."
        )
        return 1
    except click.Abort:
        complain("persona: stopped; run it again to go on where it was.")
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        complain(f"persona: {error.format_message()}")
        return 2


@click.group(context_settings={"show_default": True})
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.version_option(__version__, message="%(version)s")
def app(quiet: bool) -> None:
    """Emotion, gender and age from a voice."""
    if quiet:
        logging.getLogger("persona").setLevel(logging.WARNING)


app.add_command(corpus)
app.add_command(voices.voice)
for command in (train, evaluate, audit):
    app.add_command(command)


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
    """Embed a corpus into a feature table. Goes on where an interrupted run stopped.

    REPRESENTATION: its name, module:Class of one's own, or a file of vectors (.npz, .parquet).
    """
    from persona import corpora, features, representations
    from persona.representations import vectors

    representation = named(representation)
    if not vectors.is_file(representation):
        representations.class_of(representation)
    chosen = corpora.load(corpus, **({"folder": folder} if folder else {}))
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
        complain(f"skipped {clip}: {problem}")
    if len(skipped) > SHOWN:
        complain(f"skipped {len(skipped) - SHOWN:,} more")


@app.command()
@click.argument("corpus", default="crema-d")
def features(corpus: str) -> None:
    """List the feature tables of a corpus, and what made them."""
    from persona import features as tables
    from persona.keeping import store

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
@click.argument("files", nargs=-1, required=True, metavar="FILE|DIR|TABLE|-")
@MODEL
@REVISION
@click.option("--at-least", default=0.0, metavar="P", help="Name no emotion less probable.")
@click.option("--json", is_flag=True, help="One list, with the timeline.")
@click.option("--jsonl", is_flag=True, help="One object per line.")
@click.option("--csv", is_flag=True, help="One row per file.")
@click.option("--resume", type=PATH, metavar="FILE", help="Append to it what it does not hold yet.")
@click.option("--by", type=click.Choice(BY), default="file", help="What a row is of.")
@click.option("--people", type=click.IntRange(1), help="How many (default: as many as are found).")
@click.option("--voice", metavar="NAME", help="Who speaks, alone: see `persona voice`.")
@click.option("--same-speaker", is_flag=True, help="One person speaks in all of the files.")
@click.option("--textgrid", type=PATH, metavar="DIR", help="Write timelines for Praat and ELAN.")
@click.option("--rttm", type=PATH, metavar="DIR", help="Write who speaks when, as NIST does.")
@click.option("--srt", type=PATH, metavar="DIR", help="Write turns as subtitles.")
@click.option("--vtt", type=PATH, metavar="DIR", help="Write turns as WebVTT.")
@click.option("--audacity", type=PATH, metavar="DIR", help="Write turns as labels for Audacity.")
@click.option("--jobs", type=click.IntRange(1), help="Files at once (default: one per core).")
def predict(
    files: tuple[str, ...],
    model: str | None,
    revision: str | None,
    at_least: float,
    resume: Path | None,
    by: str,
    people: int | None,
    voice: str | None,
    same_speaker: bool,
    jobs: int | None,
    **asked: Any,
) -> int:
    """Predict emotion, gender and age of recordings.

    TABLE: a CSV with the columns file and speaker. Emotion is read against the voice that is learnt
    from all files of a speaker, as with --same-speaker, where they are three or more: several
    feelings should be among them, for what is always there is taken for the voice.
    """
    from persona.cli import printing

    forms = [form for form in ("json", "jsonl", "csv") if asked.pop(form)]
    if len(forms) > 1:
        raise PersonaError("Choose one of --json, --jsonl and --csv.")
    form = forms[0] if forms else "table"
    return printing.predict(
        files, model=model, revision=revision, form=form, at_least=at_least, resume=resume, by=by,
        people=people, voice=voice, same_speaker=same_speaker, jobs=jobs, **asked,
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
@click.option("--voices", type=FOUND, metavar="DIR", help="Folder of voices that may be named.")
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
    voices: Path | None,
) -> None:
    """Answer recordings over HTTP, for this machine only unless --host says otherwise."""
    from persona.app import server as http
    from persona.model.predictor import Predictor

    limits = http.Limits(max_mb, max_seconds, requests, patience)
    app = http.application(Predictor.load(model, revision=revision), limits, page, voices)
    http.serve(app, host, port, patience)


@app.command()
@MODEL
@REVISION
def mcp(model: str | None, revision: str | None) -> None:
    """Answer an assistant that speaks the Model Context Protocol, over stdin and stdout."""
    from persona.app import tool
    from persona.model.predictor import Predictor

    tool.server(Predictor.load(model, revision=revision)).run()


@app.command()
@click.argument("folder", type=PATH)
@click.option("--runtime", type=PATH, required=True, help="dist of npm's onnxruntime-web.")
@MODEL
def page(folder: Path, runtime: Path, model: str | None) -> None:
    """Write the page that predicts in the browser, for any static host."""
    from persona.app import page

    loaded = page.write(folder, runtime, model)
    print(f"{folder}/index.html: its visitor loads {loaded / 1e6:.1f} MB, once.")
