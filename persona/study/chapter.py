"""What every chapter shares: checked parameters, how it is rerun, and its closing sentence."""

import ast
import base64
import json
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona import corpora, features, representations
from persona.errors import PersonaError, StoreError, known
from persona.folds import FOLDS, PROTOCOLS
from persona.keeping import store
from persona.network import ARCHITECTURES
from persona.study.terms import shown
from persona.training import AGE_UNITS

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML, Markdown

CLOSING = "**In short:** "
"""How a chapter's finding begins."""

FINDINGS = (
    "05_paper_table",
    "06_speakers",
    "07_new_sentences",
    "10_what_kind_of_ear",
    "11_best",
    "14_speech_as_it_is",
    "15_who_is_speaking",
    "16_knowing_the_person",
)
"""Chapters whose findings the README shows."""

WORDS_A_MINUTE = 200
"""How fast a chapter is taken to be read."""

NETWORKS_A_MINUTE = {"fcn": 33, "cnn": 8}
"""Networks of 20 epochs trained in a minute on two cores: tests/measurements.csv."""

_BEGAN = time.monotonic()  # the first cell of a chapter imports this module
_INJECTED = "# Parameters\n"  # how the cell begins that papermill puts behind the parameters

_CHOICES = {
    "architectures": ("architecture", ARCHITECTURES),
    "protocols": ("protocol", PROTOCOLS),
    "age_units": ("unit of age", AGE_UNITS),
    "corpora": ("corpus", corpora.NAMES),
}


def checked(**parameters: Any) -> list[Any]:
    """A chapter's parameters, in their order, checked before anything is trained.

    representations, architectures, protocols, age_units, corpora : names that exist; a single
        string becomes a list. A representation needs a feature table here; several may be joined
        by "+".
    seeds : whole numbers of 0 or more; a single one becomes a list.
    recordings : a folder, or "" for none.
    Any other (epochs, draws, ...) : a whole number of 1 or more.

    Raises `PersonaError` for anything else, saying what there is to choose from, and for names
    that papermill was given and the chapter does not have.
    """
    _refuse_unknown()
    return [_checked(name, value) for name, value in parameters.items()]


def _refuse_unknown() -> None:
    """Refuse a name that papermill was given and that no cell before its own had assigned."""
    from IPython import get_ipython

    shell = get_ipython()
    cells = list(shell.user_ns["In"]) if shell else []
    for place, cell in enumerate(cells):
        if cell.startswith(_INJECTED):
            there = _assigned(cells[place - 1])
            for name in _assigned(cell):
                known("parameter", name, there)


def _assigned(cell: str) -> list[str]:
    """Names that the lines of a cell give a value."""
    lines = [node for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
    return [ast.unparse(target) for line in lines for target in line.targets]


def chosen(what: str, names: str | Sequence[str], choices: Sequence[str]) -> list[str]:
    """Names as a list without repetition; `PersonaError` for none, or one not among `choices`."""
    listed = list(dict.fromkeys(_several(names)))
    if not listed:
        raise PersonaError(f"No {what} is named: choose from {', '.join(choices)}.")
    for name in listed:
        known(what, name, choices)
    return listed


def at_most(most: int, what: str, **parameter: int) -> None:
    """Refuse a parameter that asks for more than there are, e.g. of `what` = "speakers"."""
    for name, number in parameter.items():
        if number > most:
            raise PersonaError(f"The parameter {name} holds {number}: there are {most} {what}.")


def _several(names: Any) -> list[str]:
    """What a parameter names, as text: a wrong type is then a name that does not exist."""
    return [str(name) for name in (names if isinstance(names, list | tuple) else [names])]


def _checked(name: str, value: Any) -> Any:
    if name == "representations":
        return _extracted(value)
    if name in _CHOICES:
        return chosen(_CHOICES[name][0], value, _CHOICES[name][1])
    if name == "recordings":
        return _folder(name, value)
    if name != "seeds":
        return _whole(name, value, 1)
    seeds = list(value) if isinstance(value, list | tuple) else [value]
    if not seeds:
        raise PersonaError("The parameter seeds is empty: give a whole number or more.")
    return [_whole(name, seed, 0) for seed in seeds]


def _folder(name: str, value: Any) -> str:
    if not isinstance(value, str) or (value and not Path(value).is_dir()):
        raise PersonaError(f'The parameter {name} holds {value!r}: give a folder, or "" for none.')
    return value


def _whole(name: str, number: Any, least: int) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise PersonaError(
            f"The parameter {name} holds {number!r}: give whole numbers of {least} or more."
        )
    return number


def _extracted(names: str | Sequence[str]) -> list[str]:
    """Names of representations that have a feature table of CREMA-D here."""
    there, asked = features.listed(), _several(names)
    for part in "+".join(asked).split("+") if asked else ():
        if part in representations.NAMES and part not in there:
            raise PersonaError(
                f"There is no feature table of {part} here: make it with `{_command(part)}`, or "
                f"choose from {', '.join(there) or 'none yet'}."
            )
        known("representation", part, there)
    return chosen("representation", asked, [*there, *(one for one in asked if "+" in one)])


def _command(representation: str) -> str:
    return f"persona corpus fetch && persona extract {representation}"


def quick() -> bool:
    """Whether chapters are run only to see that they run: PERSONA_QUICK is set."""
    return "PERSONA_QUICK" in os.environ


def has_run(study: str) -> list[str]:
    """Representations that results of a study hold, in the registry's order.

    Raises `PersonaError` where there are no results of it.
    """
    found: set[str] = set()
    for folder in (store.shipped(), store.made()):
        try:
            table = store.read_table(folder / "results" / f"{study}.parquet")
        except StoreError:
            continue
        found |= set(table.columns["representation"])
    if not found:
        raise PersonaError(
            f"There are no results of {study!r} here: run its chapter with train=True, or restore "
            f"data/results/{study}.parquet from the project."
        )
    return [name for name in representations.NAMES if name in found]


def not_run(run: Sequence[str] | None = None) -> "Markdown":
    """Which representations of the registry were not run here, each with the command that helps.

    run : those that were, by default all that have a feature table.
    """
    from IPython.display import Markdown

    there, lines = features.listed(), []
    for name in representations.NAMES:
        if name not in there:
            helps = f"its vectors are missing, and `{_command(name)}` makes them."
        elif run is not None and name not in run:
            helps = f'add "{name}" to `representations` and set `train = True`.'
        else:
            continue
        lines.append(f"- {shown(name)} was not run here: {helps}")
    return Markdown("\n".join(lines) or "Every representation was run here.")


def findings_file() -> Path:
    """The findings of `FINDINGS` as they were computed last."""
    return store.shipped() / "results" / "findings.json"


def contents() -> "Markdown":
    """A table of the chapters: title, question, minutes to read its prose, and open code too."""
    from IPython.display import Markdown

    lines = ["| chapter | question | minutes | with code |", "| --- | --- | --: | --: |"]
    for file in sorted(Path(_notebook("00_persona")).parent.glob("[0-9][0-9]_*.ipynb"))[1:]:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if not cell["metadata"].get("tags")]
        words = {"markdown": 0, "code": 0}
        for cell in cells:
            words[cell["cell_type"]] += len("".join(cell["source"]).split())
        opening = "".join(cells[0]["source"])
        title = opening.splitlines()[0].lstrip("# ")
        question = opening.partition("**Question.** ")[2].split("\n\n")[0].replace("\n", " ")
        prose, both = (n / WORDS_A_MINUTE for n in (words["markdown"], sum(words.values())))
        lines.append(f"| [{title}]({file.stem}) | {question} | {prose:.0f} | {both:.0f} |")
    return Markdown("\n".join(lines))


def rerun_box(notebook: str, values: Mapping[str, Any] | None = None) -> "Markdown":
    """How a chapter is rerun as its page was made, how it is trained, and what it can be given.

    notebook : its name without extension, e.g. "05_paper_table"; its cell tagged `parameters` is
        read, where a comment behind a parameter says what it means.
    values : what the page was made with, e.g. `globals()`: its parameters, and its results, which
        tell how many networks were trained. By default the chapter's own parameters.

    Raises `PersonaError` where the notebook is not here.
    """
    import papermill
    from IPython.display import Markdown

    found = papermill.inspect_notebook(_notebook(notebook))
    defaults = {name: ast.literal_eval(one["default"]) for name, one in found.items()}
    made = {name: (values or defaults)[name] for name in defaults}
    took = f" (this page took {_minutes((time.monotonic() - _BEGAN) / 60)})" if values else ""
    lines = [
        f"**Rerun this chapter** as it was made{took}, in a checkout of the repository:", "",
        *_command_line(notebook, {n: v for n, v in made.items() if v != defaults[n]}), "",
    ]  # fmt: skip
    if "train" in defaults and made["train"] is not True:
        lines += [f"**Train it again** ({_training(values or {})}) instead of reading results:", ""]
        lines += [*_command_line(notebook, {"train": True}), ""]
    lines += ["`WITH` takes any of these as JSON; the result is in `build/rerun`.", ""]
    headings = ["parameter", "meaning", "default", *(["this page"] if values else [])]
    lines += [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings))]
    for name, default in defaults.items():
        cells = [f"`{name}`", found[name]["help"], f"`{json.dumps(default)}`"]
        cells += [f"`{json.dumps(made[name])}`"] if values else []
        lines.append(f"| {' | '.join(cells)} |")
    return Markdown("\n".join(f"> {line}".rstrip() for line in lines))


def _command_line(notebook: str, given: Mapping[str, Any]) -> list[str]:
    """A block of one line that runs a chapter with some parameters."""
    others = f" WITH={shlex.quote(json.dumps(given))}" if given else ""
    return ["```bash", f"make rerun CHAPTER={notebook}{others}", "```"]


def _training(values: Mapping[str, Any]) -> str:
    """How many networks the results among a chapter's names took, and the least time for them."""
    from persona.run import Results

    rows = [one.rows for one in values.values() if isinstance(one, Results)]
    trained = {
        one for table in rows
        for one in table[["experiment", "seed", "architecture"]].itertuples(index=False, name=None)
    }  # fmt: skip
    if not trained:
        return "every network of it"
    minutes = sum(FOLDS / NETWORKS_A_MINUTE[architecture] for *_, architecture in trained)
    return f"some {FOLDS * len(trained):,} networks, {_minutes(minutes)} or more on two cores"


def _minutes(minutes: float) -> str:
    """A time as it is told: seconds below two minutes, hours from two of them on."""
    if minutes < 2:
        return f"{max(1, round(60 * minutes))} seconds"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def _notebook(name: str) -> str:
    folders = (Path.cwd(), Path.cwd() / "notebooks", store.shipped().parent / "notebooks")
    for folder in folders:
        if (file := folder / f"{name}.ipynb").is_file():
            return str(file)
    raise PersonaError(
        f"The notebook {name}.ipynb is not here: run it in the folder that holds it, or in a "
        "checkout of the project."
    )


def download(table: "pd.DataFrame", name: str) -> "HTML":
    """A link that saves a table as a CSV file of this name; the page itself holds the data."""
    from IPython.display import HTML

    data = base64.b64encode(table.to_csv().encode()).decode()
    return HTML(
        f'<a download="{name}.csv" href="data:text/csv;base64,{data}">{name}.csv</a> '
        f"({len(table)} rows)"
    )


def opening() -> None:
    """Where `closing` shows a chapter's answer: under its question, wherever it is read."""
    _show("")


def closing(finding: str, *details: str) -> None:
    """Show a chapter's answer at its opening, whose output is kept with the notebook.

    finding : what the README collects. details : a list below it.
    """
    lines = [CLOSING + finding, *([""] if details else []), *(f"- {one}" for one in details)]
    _show("\n".join(lines), update=True)


def _show(text: str, **options: bool) -> None:
    from IPython.display import Markdown, display

    display(Markdown(text), display_id="answer", **options)
